-- The broker, and the roles that it may hand out. From version 16 on it cannot use them
-- itself; up to 15, NOINHERIT keeps it from using them by accident.
DO $$
DECLARE
    broker  text := current_setting('sym.broker');
    target  text;
    targets text[];
    holders text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = broker) THEN
        EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', broker);
    ELSIF EXISTS (SELECT FROM pg_roles
                  WHERE rolname = broker AND (rolinherit OR NOT rolcanlogin)) THEN
        EXECUTE format('ALTER ROLE %I LOGIN NOINHERIT', broker);
    END IF;
    -- Only once: each GRANT rewrites the database's row.
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) a
                       JOIN pg_roles b ON b.oid = a.grantee
                       WHERE d.datname = current_database() AND b.rolname = broker) THEN
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), broker);
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        IF NOT has_database_privilege(broker, current_database(), 'CONNECT') THEN
            RAISE EXCEPTION 'You are "%", who may not let "%" into the database "%". Have its '
                'owner run: GRANT CONNECT ON DATABASE "%" TO "%";', current_user, broker,
                current_database(), current_database(), broker;
        END IF;
    END;

    SELECT array_agg(btrim(t)) INTO targets
    FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t WHERE btrim(t) <> '';
    FOREACH target IN ARRAY targets LOOP
        IF current_setting('server_version_num')::int >= 160000 THEN
            EXECUTE format('GRANT %I TO %I WITH ADMIN TRUE, INHERIT FALSE, SET FALSE',
                target, broker);
        ELSE
            EXECUTE format('GRANT %I TO %I WITH ADMIN OPTION', target, broker);
        END IF;
    END LOOP;

    -- Roles that are no longer in the list. While somebody holds one, the broker needs its
    -- right to take it back.
    FOR target, holders IN
        SELECT r.rolname, (
            SELECT string_agg(quote_ident(h.rolname), ', ' ORDER BY h.rolname)
            FROM pg_auth_members g JOIN pg_roles h ON h.oid = g.member
            WHERE g.roleid = r.oid AND g.grantor = b.oid)
        FROM pg_auth_members m JOIN pg_roles b ON b.oid = m.member
        JOIN pg_roles r ON r.oid = m.roleid
        WHERE b.rolname = broker AND m.admin_option AND r.rolname <> ALL (targets)
    LOOP
        IF holders IS NOT NULL THEN
            RAISE WARNING 'The role "%" is no longer in the list, but it is still handed out to %. '
                'The broker keeps its right to the role, to take it back. Remove the role from '
                'the function''s roles in Terraform, or the function keeps handing it out, and '
                'run this again when nobody holds it.', target, holders;
            CONTINUE;
        END IF;
        BEGIN
            EXECUTE format('REVOKE %I FROM %I', target, broker);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL; -- The next lines say so.
        END;
        IF EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
                   JOIN pg_roles b ON b.oid = m.member
                   WHERE r.rolname = target AND b.rolname = broker AND m.admin_option) THEN
            RAISE WARNING 'The role "%" is no longer in the list, but the broker "%" can still '
                'hand it out: a user other than "%" granted it that right, and has to revoke it.',
                target, broker, current_user;
        ELSE
            RAISE WARNING 'The role "%" is not in the list, and is no longer handed out.', target;
        END IF;
    END LOOP;
END
$$;

-- Reserved connections for the broker, for when all others are taken (16 and newer, with the
-- setting reserved_connections). PostgreSQL honours the right at login only if it is inherited.
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE format('GRANT pg_use_reserved_connections TO %I WITH INHERIT TRUE, SET FALSE',
            current_setting('sym.broker'));
        IF current_setting('reserved_connections')::int = 0 THEN
            RAISE WARNING 'reserved_connections is 0: when all connections are taken, the '
                'broker has none either. Set it to 2 or more, and restart the server.';
        END IF;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'You are "%", who may not grant pg_use_reserved_connections: when all '
        'connections are taken, the broker has none either. A superuser can run: GRANT '
        'pg_use_reserved_connections TO "%" WITH INHERIT TRUE;', current_user,
        current_setting('sym.broker');
END
$$;

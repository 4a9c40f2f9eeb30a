-- Refuses bad input before anything is changed, with a sentence that says what to do.
DO $$
DECLARE
    broker  text := current_setting('sym.broker');
    target  text;
    targets text[];
    another text;
BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'PostgreSQL 14 or newer is needed, but this is %.',
            current_setting('server_version');
    END IF;

    SELECT array_agg(btrim(t)) INTO targets
    FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t WHERE btrim(t) <> '';
    IF targets IS NULL THEN
        RAISE EXCEPTION 'No roles are given. Say which may be handed out, for example '
            'with: psql -v broker=% -v roles=readonly,readwrite -f setup.sql', broker;
    END IF;
    FOREACH target IN ARRAY targets LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = target) THEN
            RAISE EXCEPTION 'The role "%" does not exist. Create it first, or correct its '
                'name (upper and lower case count).', target;
        END IF;
        -- Up to version 15 CREATEROLE is enough to hand out a role.
        IF NOT pg_has_role(current_user, target, 'MEMBER WITH ADMIN OPTION')
           AND (current_setting('server_version_num')::int >= 160000
                OR NOT (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user))
        THEN
            RAISE EXCEPTION 'You are "%", who may not hand out the role "%". Run this as '
                'the one who created that role, or as a superuser.', current_user, target;
        END IF;
    END LOOP;

    SELECT min(t) INTO another FROM unnest(targets) t
    WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = broker)
      AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = t) AND pg_has_role(t, broker, 'MEMBER');
    IF another IS NOT NULL THEN
        RAISE EXCEPTION 'The role "%" must not be handed out: it is, or is a member of, "%", which '
            'is the user that the function logs in as.', another, broker;
    END IF;
    SELECT min(t) INTO another
    FROM unnest(string_to_array(current_setting('sym.allow'), ',')) t
    WHERE btrim(t) <> '' AND btrim(t) <> ALL (targets);
    IF another IS NOT NULL THEN
        RAISE EXCEPTION '"%" is in allow, but not in the list of roles. Correct its name.',
            btrim(another);
    END IF;
    IF broker = current_user THEN
        RAISE EXCEPTION 'The broker cannot be "%", who runs this: it has to be a user with '
            'no rights of its own.', broker;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = broker
               AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
        RAISE EXCEPTION 'The broker "%" exists and has more rights than it may have: it '
            'must not be SUPERUSER, CREATEROLE, REPLICATION or BYPASSRLS.', broker;
    END IF;
    SELECT rolname INTO another FROM pg_policy p JOIN pg_roles r ON r.oid = p.polroles[1]
    WHERE p.polname = 'broker' AND p.polrelid = to_regclass('sym.grants') AND r.rolname <> broker;
    IF another IS NOT NULL AND current_setting('sym.replace') <> 'on' THEN
        RAISE EXCEPTION 'The broker of this ledger is "%", not "%", and would lose its rights to '
            'it. Run this with -v broker=%, or with -v replace=on to replace it by "%".',
            another, broker, another, broker;
    END IF;
    -- Refuse somebody's own login as the broker: it would gain the right to hand out roles.
    IF EXISTS (SELECT FROM pg_roles b WHERE b.rolname = broker AND NOT EXISTS (
            SELECT FROM pg_policy WHERE polname = 'broker' AND b.oid = ANY (polroles))
        AND (EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass
                AND refobjid = b.oid AND deptype = 'o')
            OR EXISTS (SELECT FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid
                WHERE a.member = b.oid AND NOT a.admin_option
                  AND r.rolname NOT IN ('rds_iam', 'pg_use_reserved_connections')))) THEN
        RAISE EXCEPTION 'The user "%" already exists and owns objects or is a member of roles: it '
            'seems to be the login of a person or an application. Choose another name for the broker.', broker;
    END IF;
    -- Memberships belong to the whole server and a ledger to one database: two ledgers of
    -- one broker would take back what the other has handed out. Only a right to a database
    -- counts as a sign of another ledger, since anybody can grant rights to their own objects,
    -- and only if the database's owner could have set up a broker.
    SELECT min(d.datname) INTO another
    FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles b ON b.oid = a.grantee
    WHERE b.rolname = broker AND d.datname <> current_database()
      AND (pg_has_role(d.datdba, b.oid, 'MEMBER WITH ADMIN OPTION')
        OR (SELECT rolname = current_user OR rolcreaterole
                AND current_setting('server_version_num')::int < 160000
            FROM pg_roles WHERE oid = d.datdba));
    IF another IS NOT NULL THEN
        RAISE EXCEPTION 'The broker "%" has rights in the database "%" already. Every '
            'database needs a broker of its own: choose another name here.', broker, another;
    END IF;
    -- Up to version 15 a membership is one row: the first of two brokers to end a grant would
    -- take the role from the grants of the second.
    IF current_setting('server_version_num')::int < 160000 THEN
        SELECT format('The role "%s" is handed out by the broker "%s" of the database "%s" '
            'already. Up to version 15 of PostgreSQL two databases cannot hand out one role: '
            'make a role for each of them.', r.rolname, b.rolname, min(d.datname)) INTO another
        FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
        JOIN pg_roles b ON b.oid = m.member, pg_database d, aclexplode(d.datacl) a
        WHERE r.rolname = ANY (targets) AND m.admin_option AND b.rolcanlogin
          AND NOT (b.rolinherit OR b.rolsuper OR b.rolcreaterole) AND b.rolname <> broker
          AND a.grantee = b.oid AND d.datname <> current_database()
          AND (pg_has_role(d.datdba, b.oid, 'MEMBER WITH ADMIN OPTION')
            OR (SELECT rolname = current_user OR rolcreaterole FROM pg_roles WHERE oid = d.datdba))
        GROUP BY r.rolname, b.rolname LIMIT 1;
        IF another IS NOT NULL THEN
            RAISE EXCEPTION '%', another;
        END IF;
    END IF;
    -- A publication FOR ALL TABLES includes new tables.
    IF EXISTS (SELECT FROM pg_publication WHERE puballtables)
       AND to_regclass('sym.grants') IS NULL AND current_setting('sym.publish') <> 'on' THEN
        RAISE EXCEPTION 'The publication "%" is FOR ALL TABLES and would include the ledger: '
            'its subscribers stop at the first grant, for every table, unless they have the '
            'tables of the schema sym too. Name its tables, or make the schema in the '
            'subscribers (pg_dump --schema-only --schema=sym) and run this with -v publish=on.',
            (SELECT min(pubname) FROM pg_publication WHERE puballtables);
    END IF;
    IF EXISTS (SELECT FROM pg_publication WHERE puballtables)
       AND current_setting('sym.publish') <> 'on' THEN
        RAISE WARNING 'The publication "%" is FOR ALL TABLES and includes the ledger: its '
            'subscribers stop at the next grant, for every table, unless they have the tables of '
            'the schema sym. Pass -v publish=on to silence this warning.',
            (SELECT min(pubname) FROM pg_publication WHERE puballtables);
    END IF;
    -- Which roles the broker has before this run: targets.sql uses it.
    PERFORM set_config('sym.had', coalesce((SELECT string_agg(m.roleid::text, ',')
        FROM pg_auth_members m JOIN pg_roles b ON b.oid = m.member
        WHERE b.rolname = broker AND m.admin_option), ''), true);
    IF current_setting('sym.create_users') NOT IN ('on', 'off') THEN
        RAISE EXCEPTION 'create_users is "%", but it has to be on or off.',
            current_setting('sym.create_users');
    END IF;
    IF current_setting('sym.create_users') = 'on' AND NOT
       (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN
        RAISE EXCEPTION 'You are "%", who may not make users, as the function would with your '
            'rights. Run this as a user with CREATEROLE.', current_user;
    END IF;
    IF NOT has_database_privilege(current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'You are "%", who may not create a schema in the database "%". Run this '
            'as its owner.', current_user, current_database();
    END IF;
    -- A schema of somebody else's could contain their functions.
    IF EXISTS (SELECT FROM pg_namespace
               WHERE nspname = 'sym' AND pg_get_userbyid(nspowner) <> current_user) THEN
        RAISE EXCEPTION 'The schema "sym" belongs to "%". Run this as that user.',
            (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'sym');
    END IF;
    -- rds_superuser is a member of this role; a plain owner may not be.
    IF NOT pg_has_role(current_user, 'pg_signal_backend', 'USAGE') THEN
        RAISE EXCEPTION 'You are "%", who may not end the sessions of others, as the function '
            'must after it takes a role back. Have a superuser run: GRANT '
            'pg_signal_backend TO "%";', current_user, current_user;
    END IF;
END
$$;

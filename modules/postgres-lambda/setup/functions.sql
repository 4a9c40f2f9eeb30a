-- Functions whose arguments have changed since an earlier version.
DROP FUNCTION IF EXISTS sym.resolve(name, oid);
DROP FUNCTION IF EXISTS sym.end_sessions(text);
DROP FUNCTION IF EXISTS sym.danger(oid);

-- Finds a role by its number, even if it was renamed; NULL if it was dropped. For a row from
-- another server, such as after a restore, it uses the name: there the number may belong to
-- another role.
CREATE OR REPLACE FUNCTION sym.resolve(of_name name, of_oid oid, of_origin text) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF of_origin = sym.origin() THEN
        RETURN (SELECT oid FROM pg_roles WHERE oid = of_oid);
    END IF;
    RETURN (SELECT oid FROM pg_roles WHERE rolname = of_name);
END
$$;

-- A text that the function can read. It reads UTF-8, and people can choose names with bytes that
-- UTF-8 lacks: in a database of another encoding or, for names of the whole server such as roles,
-- from there. In such a text every byte that is not ASCII is written as \u and its number.
CREATE OR REPLACE FUNCTION sym.readable(of_text text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    bytes bytea;
BEGIN
    PERFORM convert_to(of_text, 'UTF8');
    RETURN of_text;
EXCEPTION WHEN OTHERS THEN
    -- The cast reads backslashes (92), and checks nothing else.
    bytes := replace(of_text, chr(92), chr(92) || chr(92))::bytea;
    RETURN (SELECT string_agg(CASE WHEN b < 128 THEN chr(b) ELSE chr(92) || 'u00' || to_hex(b) END, ''
            ORDER BY i)
        FROM generate_series(0, length(bytes) - 1) i, LATERAL get_byte(bytes, i) b);
END
$$;

-- Whether a user can use a role, directly or through other roles. From version 16 on a
-- membership may only allow granting the role to others; such a membership does not count.
CREATE OR REPLACE FUNCTION sym.holds(holder oid, role oid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        RETURN pg_has_role(holder, role, 'USAGE, SET');
    END IF;
    RETURN pg_has_role(holder, role, 'MEMBER');
END
$$;

DROP FUNCTION IF EXISTS sym.end_sessions(oid, oid, interval);

-- Ends the sessions of a user from whom a role was taken, and those of logins that are
-- members of that user and had the role through them: a session that did SET ROLE would
-- otherwise keep it. It never ends the sessions of anyone who still holds the role, of a
-- superuser, of the broker or of the owner, nor a session that began more than a minute after
-- the REVOKE, which cannot have the role. It returns how many it ended, once they are gone, or
-- NULL if the user still holds the role, which on a standby means that the REVOKE has not yet
-- arrived. It writes nothing, so it also works on a standby. It runs with its owner's rights,
-- so that the broker cannot end sessions of its choice.
CREATE OR REPLACE FUNCTION sym.end_sessions(
    holder oid, role oid, patience interval DEFAULT '3 seconds',
    revoked timestamptz DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    users    oid[];
    found    integer[];
    pids     integer[] := '{}';
    starting integer;
    hidden   integer[] := '{}';
    deadline timestamptz;
BEGIN
    IF EXISTS (SELECT FROM pg_roles r WHERE r.oid = holder) AND
       EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) AND sym.holds(holder, role) THEN
        RETURN NULL;
    END IF;
    WITH RECURSIVE below (oid) AS (
        SELECT holder
        UNION
        -- From 16 on a membership may only allow granting the role to others.
        SELECT m.member FROM pg_auth_members m JOIN below b ON m.roleid = b.oid
        WHERE (to_jsonb(m)->>'set_option')::boolean IS NOT FALSE
           OR (to_jsonb(m)->>'inherit_option')::boolean IS NOT FALSE
    )
    SELECT array_agg(b.oid) INTO users FROM below b LEFT JOIN pg_roles r ON r.oid = b.oid
    -- The sessions of a dropped user continue, too.
    WHERE r.oid IS NULL OR NOT r.rolsuper AND r.rolname NOT IN (current_user, session_user)
        AND (b.oid = holder OR NOT EXISTS (
            SELECT FROM pg_roles t WHERE t.oid = role AND sym.holds(b.oid, t.oid)));

    -- A session that is starting may already have the role that it asked for, but does not yet
    -- show whose it is. We wait until it does. Its user can delay that with post_auth_delay or
    -- a lock; after a while we end it. The sessions that do show are ended at once, before the
    -- wait and after it.
    FOR round IN 1 .. 2 LOOP
        PERFORM pg_stat_clear_snapshot();
        -- Select first, then end: in one query the planner could reorder the two.
        SELECT array_agg(a.pid) INTO found FROM pg_stat_activity a
        WHERE a.usesysid = ANY (users) AND a.pid <> pg_backend_pid() AND a.pid <> ALL (pids)
          AND (revoked IS NULL OR a.backend_start IS NULL
            OR a.backend_start <= revoked + interval '1 minute');
        PERFORM pg_terminate_backend(pid) FROM unnest(found) pid;
        pids := pids || coalesce(found, '{}');
        IF round = 1 THEN
            FOREACH starting IN ARRAY sym.starting() LOOP
                BEGIN
                    IF pg_terminate_backend(starting) THEN
                        hidden := hidden || starting;
                    END IF;
                EXCEPTION WHEN insufficient_privilege THEN
                    NULL; -- A superuser's, or one that nobody has logged in to yet.
                END;
            END LOOP;
        END IF;
    END LOOP;
    -- Each starting session got one signal. Wait for at most a second until they are gone.
    deadline := clock_timestamp() + interval '1 second';
    WHILE hidden <> '{}' AND clock_timestamp() < deadline LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pg_locks l
            WHERE l.locktype = 'virtualxid' AND l.pid = ANY (hidden));
        PERFORM pg_sleep(0.002);
    END LOOP;
    deadline := clock_timestamp() + patience;
    LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (
            SELECT FROM pg_stat_activity a WHERE a.pid = ANY (pids) AND a.usesysid = ANY (users));
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'a session of "%" does not end (process %): if it ignores '
                'pg_terminate_backend, restart the server', coalesce(
                (SELECT rolname FROM pg_roles r WHERE r.oid = holder), holder::text),
                (SELECT min(a.pid) FROM pg_stat_activity a WHERE a.pid = ANY (pids))
                USING ERRCODE = 'object_in_use';
        END IF;
        PERFORM pg_sleep(0.002);
    END LOOP;
    RETURN cardinality(pids || hidden);
END
$$;

-- The processes of sessions that have been starting for a while. Like every session at work
-- they hold the lock on a virtual transaction, but they are not in the list of sessions yet, or
-- appear there without a user and a database.
CREATE OR REPLACE FUNCTION sym.starting() RETURNS integer[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    seen  integer[];
    again integer[];
BEGIN
    FOR round IN 1 .. 6 LOOP
        SELECT array_agg(l.pid) INTO again FROM pg_locks l
        WHERE l.locktype = 'virtualxid' AND l.pid IS NOT NULL AND l.pid <> pg_backend_pid()
          AND (seen IS NULL OR l.pid = ANY (seen));
        PERFORM pg_stat_clear_snapshot();
        SELECT array_agg(pid) INTO seen FROM unnest(again) pid
        WHERE NOT EXISTS (SELECT FROM pg_stat_get_activity(NULL) a
            WHERE a.pid = pid.pid AND (a.usesysid IS NOT NULL OR a.datid IS NOT NULL
                OR a.backend_type = 'startup'));
        EXIT WHEN seen IS NULL;
        PERFORM pg_sleep(CASE WHEN round = 1 THEN 0.02 ELSE 0.1 END);
    END LOOP;
    RETURN coalesce(seen, '{}');
END
$$;

-- Whether a prepared transaction has written to a table of this database that its owner may not
-- write to, and the roles may.
CREATE OR REPLACE FUNCTION sym.wrote_as(of_transaction xid, owner oid, led oid[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM pg_locks l JOIN pg_locks x ON x.virtualtransaction = l.virtualtransaction,
            LATERAL (SELECT coalesce(pg_partition_root(l.relation)::oid, l.relation)) AS t (oid)
        WHERE x.locktype = 'transactionid' AND x.pid IS NULL AND x.transactionid = of_transaction
          AND l.locktype = 'relation' AND l.pid IS NULL AND l.relation >= 16384
          AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') AND l.database = (
            SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND NOT sym.may_use(owner, t.oid, false)
          AND EXISTS (SELECT FROM unnest(led) r WHERE sym.may_use(r, t.oid, false)));
END
$$;

-- The prepared transactions since a time of a user, of a role, and of the roles that it is a member
-- of. Work that was done with the role can still be committed after the role is gone. The user can
-- prepare it as any other role of theirs as well; other members of that role prepare transactions
-- too, so those are listed only if they have written what that role may not. Each comes with the
-- statement that ends it, which only its owner and superusers may run.
CREATE OR REPLACE FUNCTION sym.prepared(holder oid, role oid, since timestamptz) RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    led oid[];
BEGIN
    IF NOT EXISTS (SELECT FROM pg_prepared_xact()) THEN
        RETURN '{}';
    END IF;
    WITH RECURSIVE reached (oid) AS (
        SELECT role
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT array_agg(r.oid) INTO led FROM reached r;
    RETURN ARRAY(
        WITH RECURSIVE theirs (oid) AS (
            SELECT holder
            UNION
            SELECT m.roleid FROM pg_auth_members m JOIN theirs t ON m.member = t.oid
        )
        -- The owner may have been dropped since.
        SELECT sym.readable(format('as a superuser%s, in the database "%s": ROLLBACK PREPARED %L',
            ', or as a member of "' || p.owner || '" with SET ROLE ' || quote_ident(p.owner),
            p.database, p.gid))
        FROM pg_prepared_xact() x JOIN pg_prepared_xacts p ON p.transaction = x.transaction
        WHERE p.prepared >= since AND (x.ownerid = holder OR x.ownerid = ANY (led)
            OR x.ownerid IN (SELECT oid FROM theirs)
                AND sym.wrote_as(x.transaction, x.ownerid, led))
        ORDER BY p.prepared);
END
$$;

-- Ends sessions that block the broker's access to the ledger or the catalogue, with all other
-- sessions of their users, and returns whose they were. Members of pg_write_all_data can lock the
-- ledger's tables. Any login can queue for a lock on the catalogue that it will not get (CREATE
-- RULE requests the lock before it checks permissions), and everybody else queues behind it. Any
-- login can also fill the lock table; this is checked only if the table was full, since many locks
-- alone do no harm. A prepared transaction can hold a lock, too: it is named, and only its owner
-- or a superuser can end it.
--
-- The tables of roles and databases may themselves be locked, so this function reads neither
-- until the sessions are gone.
DROP FUNCTION IF EXISTS sym.clear_way();
CREATE OR REPLACE FUNCTION sym.clear_way(crowded boolean)
RETURNS TABLE (whose text, ended boolean, crowding boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    strong    text[] := ARRAY['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                              'AccessExclusiveLock'];
    full_up   integer := current_setting('max_locks_per_transaction')::integer
                         * current_setting('max_connections')::integer / 4;
    here      oid := (SELECT a.datid FROM pg_stat_get_activity(pg_backend_pid()) a);
    us        oid := (SELECT a.usesysid FROM pg_stat_get_activity(pg_backend_pid()) a);
    runner    oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'sym');
    blockers  jsonb;
    blocker   record;
    privileged boolean;
    left_over integer[];
    deadline  timestamptz;
BEGIN
    SELECT jsonb_agg(to_jsonb(b)) INTO blockers FROM (
        SELECT l.pid, a.usesysid, x.transactionid,
            bool_and(l.relation IS NULL OR l.mode <> ALL (strong)) AS crowding,
            bool_or(l.granted) AS granted
        FROM pg_locks l
        LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
        -- A prepared transaction has no session. Another of its locks shows its number.
        LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
            AND x.virtualtransaction = l.virtualtransaction
        WHERE l.pid IS DISTINCT FROM pg_backend_pid() AND (
            l.locktype = 'relation' AND l.mode = ANY (strong) AND l.database IN (0, here)
                -- Tables of the catalogue have numbers below 16384.
                AND (l.relation < 16384 OR l.relation IN (
                    SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'sym'::regnamespace))
            OR crowded AND l.pid IN (
                SELECT n.pid FROM pg_locks n GROUP BY n.pid HAVING count(*) > full_up))
          AND a.usesysid IS DISTINCT FROM us AND a.usesysid IS DISTINCT FROM runner
        GROUP BY l.pid, a.usesysid, x.transactionid) AS b;
    FOR blocker IN SELECT * FROM jsonb_to_recordset(blockers)
            AS b (pid integer, usesysid oid, granted boolean) WHERE b.pid IS NOT NULL LOOP
        BEGIN
            -- A superuser counts as a member of every role, including the bootstrap superuser
            -- (10). The view pg_roles would read more tables.
            privileged := pg_has_role(blocker.usesysid, 10, 'MEMBER');
        EXCEPTION WHEN lock_not_available THEN
            -- Leave a superuser alone who is working on the table of roles.
            privileged := blocker.granted;
        END;
        IF NOT privileged THEN
            -- End all at once, so that nobody can reconnect before the next statement.
            PERFORM pg_terminate_backend(a.pid) FROM pg_stat_get_activity(NULL) a
            WHERE a.usesysid = blocker.usesysid;
        END IF;
    END LOOP;
    deadline := clock_timestamp() + interval '1 second';
    LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT array_agg(a.pid) INTO left_over FROM pg_stat_get_activity(NULL) a
        WHERE a.pid IN (SELECT (b->>'pid')::integer FROM jsonb_array_elements(blockers) b);
        EXIT WHEN left_over IS NULL OR clock_timestamp() > deadline;
        PERFORM pg_sleep(0.002);
    END LOOP;
    FOR blocker IN SELECT * FROM jsonb_to_recordset(blockers)
            AS b (pid integer, usesysid oid, transactionid xid, crowding boolean) LOOP
        crowding := blocker.crowding;
        ended := blocker.pid IS NOT NULL AND blocker.pid <> ALL (coalesce(left_over, '{}'));
        BEGIN
            IF blocker.pid IS NOT NULL THEN
                whose := format('the session %s of "%s"', blocker.pid,
                    pg_get_userbyid(blocker.usesysid));
            ELSE
                whose := (SELECT format('the prepared transaction %L of "%s" (run in the database '
                    '"%s": ROLLBACK PREPARED %L)', p.gid, p.owner, p.database, p.gid)
                    FROM pg_prepared_xacts p WHERE p.transaction = blocker.transactionid);
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            whose := format('the session %s (SELECT pg_terminate_backend(%s))', blocker.pid,
                blocker.pid);
        END;
        IF whose IS NOT NULL THEN
            whose := sym.readable(whose);
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

-- Makes the database user of a person who has none: with a login, no password, and rds_iam
-- if the server has it, so that on RDS the person logs in with IAM, and elsewhere as the
-- administrator arranges. Ten connections are enough for one person, and leave enough for
-- others. The column made_at and a comment on the role mark the user as ours. It runs with its
-- owner's rights, because CREATEROLE would let the broker change every password up to version
-- 15. The broker may call it only with create_users=on. These users are never dropped.
CREATE OR REPLACE FUNCTION sym.create_user(new_user name, for_email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE ROLE %I LOGIN CONNECTION LIMIT 10', new_user);
    EXECUTE format('COMMENT ON ROLE %I IS %L', new_user, 'Made by sym for ' || for_email);
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        EXECUTE format('GRANT rds_iam TO %I', new_user);
    END IF;
    INSERT INTO sym.users (username, email, made_at)
    VALUES (new_user, for_email, clock_timestamp())
    ON CONFLICT (username) DO UPDATE SET made_at = excluded.made_at;
END
$$;

-- Assigns a database user to a person, for example when their address has changed or the user
-- passes to somebody else. Only the owner may run it.
CREATE OR REPLACE FUNCTION sym.assign_user(of_user name, to_email text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before text := (SELECT email FROM sym.users WHERE username = of_user);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = of_user AND rolcanlogin) THEN
        RAISE EXCEPTION 'The database has no user "%" who can log in.', of_user;
    END IF;
    IF to_email !~ '^[^@\s]+@[^@\s]+$' THEN
        RAISE EXCEPTION '"%" is not an e-mail address.', to_email;
    END IF;
    INSERT INTO sym.users (username, email) VALUES (of_user, lower(to_email))
    ON CONFLICT (username) DO UPDATE SET email = excluded.email;
    RETURN format('The database user "%s" belongs to %s now%s.', of_user, lower(to_email),
        CASE WHEN before IS NULL THEN '' ELSE ', and belonged to ' || before || ' before' END);
END
$$;

-- Functions whose arguments have changed since an earlier version.
DROP FUNCTION IF EXISTS sym.resolve(name, oid);
DROP FUNCTION IF EXISTS sym.end_sessions(text);
DROP FUNCTION IF EXISTS sym.danger(oid);

-- A role by its number, whatever it is called by now; NULL where it was dropped. A row from
-- another server, as after a restore, goes by the name: its numbers are somebody else's.
CREATE OR REPLACE FUNCTION sym.resolve(of_name name, of_oid oid, of_origin text) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF of_origin = sym.origin() THEN
        RETURN (SELECT oid FROM pg_roles WHERE oid = of_oid);
    END IF;
    RETURN (SELECT oid FROM pg_roles WHERE rolname = of_name);
END
$$;

-- Whether a user can use a role, by whatever way. From version 16 on a membership may be
-- one that only lets its holder pass the role on, and does not count.
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
-- members of that user and had the role through them: one that did SET ROLE would keep it
-- until its end. Never those of who still holds the role, of a superuser, of the broker or
-- of the owner, and none that began a minute after the REVOKE: it cannot have the role. It
-- answers how many it ended, once they are gone, and NULL where the user still holds the role:
-- on a standby, that the REVOKE has yet to arrive. It writes nothing, so that it runs on a
-- standby as well. It runs with its owner's rights so that the broker need not be allowed to
-- end sessions of its choice.
CREATE OR REPLACE FUNCTION sym.end_sessions(
    holder oid, role oid, patience interval DEFAULT '3 seconds',
    revoked timestamptz DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
        -- From 16 on a membership may be one that only lets its holder pass it on.
        SELECT m.member FROM pg_auth_members m JOIN below b ON m.roleid = b.oid
        WHERE (to_jsonb(m)->>'set_option')::boolean IS NOT FALSE
           OR (to_jsonb(m)->>'inherit_option')::boolean IS NOT FALSE
    )
    SELECT array_agg(b.oid) INTO users FROM below b LEFT JOIN pg_roles r ON r.oid = b.oid
    -- The sessions of a user who was dropped go on, too.
    WHERE r.oid IS NULL OR NOT r.rolsuper AND r.rolname NOT IN (current_user, session_user)
        AND (b.oid = holder OR NOT EXISTS (
            SELECT FROM pg_roles t WHERE t.oid = role AND sym.holds(b.oid, t.oid)));

    -- A session that is starting may have the role that it asked for already, and nobody sees
    -- whose it is. It is waited for until it shows; post_auth_delay, or a lock, keeps it there
    -- for as long as its user likes, and then it is ended. Those that show end at once, before
    -- that and after.
    FOR round IN 1 .. 2 LOOP
        PERFORM pg_stat_clear_snapshot();
        -- First who, then the deed: in one query the planner could do it the other way round.
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
    -- One signal is enough for all that is starting; those that are in its way wait a second.
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
            RAISE EXCEPTION 'a session of "%" does not end (process %): if it does not react to '
                'pg_terminate_backend, the server has to be restarted', coalesce(
                (SELECT rolname FROM pg_roles r WHERE r.oid = holder), holder::text),
                (SELECT min(a.pid) FROM pg_stat_activity a WHERE a.pid = ANY (pids))
                USING ERRCODE = 'object_in_use';
        END IF;
        PERFORM pg_sleep(0.002);
    END LOOP;
    RETURN cardinality(pids || hidden);
END
$$;

-- The processes of sessions that have been starting for a while: they hold the number of a
-- transaction, as every session at work does, and are in no list of sessions, or in one without
-- a user and a database, which processes of the server's own have.
CREATE OR REPLACE FUNCTION sym.starting() RETURNS integer[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- The transactions that a user, a role, or one that these lead to has prepared since a time and
-- not ended: what was done with a role commits without it, and the user can prepare it as any
-- role of theirs. Each with the statement that ends it, which only its owner and superusers may
-- run.
CREATE OR REPLACE FUNCTION sym.prepared(holder oid, role oid, since timestamptz) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE led (oid) AS (
            SELECT unnest(ARRAY[holder, role])
            UNION
            SELECT m.roleid FROM pg_auth_members m JOIN led l ON m.member = l.oid
        )
        SELECT format('as a superuser, or as a member of "%s" with SET ROLE %I, in the database '
            '"%s": ROLLBACK PREPARED %L', p.owner, p.owner, p.database, p.gid)
        FROM pg_prepared_xact() x JOIN pg_prepared_xacts p ON p.transaction = x.transaction
        WHERE x.ownerid IN (SELECT oid FROM led) AND p.prepared >= since ORDER BY p.prepared);
END
$$;

-- Ends sessions that keep the broker from the ledger or from the catalogue, and all others of
-- their users, and answers whose they were. Who may read or write all data can lock the
-- ledger's tables. Anybody can queue for a lock on the catalogue that they will not get
-- (CREATE RULE asks for it before it looks at rights), with everybody else behind them; and
-- anybody can fill the table of locks, which is asked about only where it was full: many locks
-- are no harm by themselves. A prepared transaction can hold a lock, too: that is named, and only
-- its owner or a superuser can end it.
--
-- The tables of roles and of databases may be what is locked, so that it reads neither until the
-- sessions are gone.
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
        -- A prepared transaction has no session. Its number is that of another of its locks.
        LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
            AND x.virtualtransaction = l.virtualtransaction
        WHERE l.pid IS DISTINCT FROM pg_backend_pid() AND (
            l.locktype = 'relation' AND l.mode = ANY (strong) AND l.database IN (0, here)
                -- The catalogue's tables have the numbers that came with the server.
                AND (l.relation < 16384 OR l.relation IN (
                    SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'sym'::regnamespace))
            OR crowded AND l.pid IN (
                SELECT n.pid FROM pg_locks n GROUP BY n.pid HAVING count(*) > full_up))
          AND a.usesysid IS DISTINCT FROM us AND a.usesysid IS DISTINCT FROM runner
        GROUP BY l.pid, a.usesysid, x.transactionid) AS b;
    FOR blocker IN SELECT * FROM jsonb_to_recordset(blockers)
            AS b (pid integer, usesysid oid, granted boolean) WHERE b.pid IS NOT NULL LOOP
        BEGIN
            -- A superuser is taken for a member of every role, also of the one that made the
            -- server. The view pg_roles would ask for more tables.
            privileged := pg_has_role(blocker.usesysid, 10, 'MEMBER');
        EXCEPTION WHEN lock_not_available THEN
            -- Of those who lock the table of roles, a superuser at work on it is let be.
            privileged := blocker.granted;
        END;
        IF NOT privileged THEN
            -- All at once, and nobody has the time to come back before the next statement.
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
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

-- Makes the database user of a person who has none: with a login, no password, and rds_iam
-- where the server knows it, so that on RDS the person logs in with IAM and elsewhere as the
-- administrator arranges. Ten connections are enough for a person, and leave the others
-- theirs. The mark that the user is ours is made_at, and a comment on the role. It runs with
-- its owner's rights, so that the broker needs no CREATEROLE, which up to version 15 could
-- change every password; only with create_users=on may the broker call it. Nobody drops the
-- users again.
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

-- Makes a database user somebody's: the remedy where a person's address has changed, or a
-- user passes to somebody else. For the owner to run, and for nobody else.
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

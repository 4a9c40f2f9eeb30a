-- What the Postgres function needs in a database, to be run once by the database's owner
-- (on RDS and Aurora: the master user), and again whenever the roles change:
--
--   psql -v broker=sym_broker -v roles=readonly,readwrite -f setup.sql "dbname=… host=…"
--
-- It makes the broker, which is the user that the function logs in as; lets it hand out
-- the named roles, and no others; and makes the schema "sym" with the ledger of what was
-- handed out. It can be run any number of times and never deletes anything.
--
-- The broker has no password afterwards. Give it one with psql's \password (it does not
-- show in the server's log), or on RDS and Aurora: GRANT rds_iam TO sym_broker;
--
-- It makes no users: the people who request access are users of the database already.

\set ON_ERROR_STOP on
\set QUIET on
\if :{?broker}
\else
\set broker sym_broker
\endif
\if :{?roles}
\else
\set roles ''
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
SELECT set_config('sym.broker', :'broker', true) AS broker,
       set_config('sym.roles', :'roles', true) AS roles;

-- Refuse what cannot work before anything is changed, in sentences.
DO $$
DECLARE
    broker  text := current_setting('sym.broker');
    target  text;
    targets text[];
BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'PostgreSQL 14 or newer is needed, but this is %.',
            current_setting('server_version');
    END IF;
    -- Two runs at once would make the same things.
    PERFORM pg_advisory_xact_lock(hashtext('sym setup'));

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

    IF broker = current_user THEN
        RAISE EXCEPTION 'The broker cannot be "%", who runs this: it has to be a user with '
            'no rights of its own.', broker;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = broker
               AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
        RAISE EXCEPTION 'The broker "%" exists and has more rights than it may have: it '
            'must not be SUPERUSER, CREATEROLE, REPLICATION or BYPASSRLS.', broker;
    END IF;
    -- Somebody else's schema could bring along somebody else's functions.
    IF EXISTS (SELECT FROM pg_namespace
               WHERE nspname = 'sym' AND pg_get_userbyid(nspowner) <> current_user) THEN
        RAISE EXCEPTION 'The schema "sym" belongs to "%". Run this as that user.',
            (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'sym');
    END IF;
    -- rds_superuser is a member of this role; a plain owner may not be.
    IF NOT pg_has_role(current_user, 'pg_signal_backend', 'USAGE') THEN
        RAISE EXCEPTION 'You are "%", who may not end the sessions of others, which has to '
            'follow when a role is taken back. Have a superuser run: GRANT '
            'pg_signal_backend TO "%";', current_user, current_user;
    END IF;
END
$$;

-- The broker, and the roles that it may hand out. From version 16 on it cannot use them
-- itself; up to 15, NOINHERIT keeps it from using them by accident.
DO $$
DECLARE
    broker text := current_setting('sym.broker');
    target text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = broker) THEN
        EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', broker);
    ELSIF EXISTS (SELECT FROM pg_roles
                  WHERE rolname = broker AND (rolinherit OR NOT rolcanlogin)) THEN
        EXECUTE format('ALTER ROLE %I LOGIN NOINHERIT', broker);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), broker);

    FOR target IN
        SELECT btrim(t) FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t
        WHERE btrim(t) <> ''
    LOOP
        IF current_setting('server_version_num')::int >= 160000 THEN
            EXECUTE format('GRANT %I TO %I WITH ADMIN TRUE, INHERIT FALSE, SET FALSE',
                target, broker);
        ELSE
            EXECUTE format('GRANT %I TO %I WITH ADMIN OPTION', target, broker);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS sym;
REVOKE ALL ON SCHEMA sym FROM PUBLIC;
COMMENT ON SCHEMA sym IS 'The ledger of roles that are handed out for a time.';

-- One row for each run, which is one request. Rows are never deleted by the function; what
-- is revoked and older than you need may be.
CREATE TABLE IF NOT EXISTS sym.grants (
    run               text PRIMARY KEY,
    username          name,
    user_oid          oid,
    rolename          name,
    role_oid          oid,
    requester         text,
    reason            text,
    -- NULL where the run was ended before it began.
    granted_at        timestamptz,
    expires_at        timestamptz,
    revoked_at        timestamptz,
    sessions_ended_at timestamptz,
    -- Whether the user had the membership before from somebody else, and keeps it.
    standing          boolean NOT NULL DEFAULT false,
    -- As whom the membership was granted.
    grantor           oid,
    CHECK (granted_at IS NULL OR (username IS NOT NULL AND user_oid IS NOT NULL
        AND rolename IS NOT NULL AND role_oid IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK (granted_at IS NOT NULL OR revoked_at IS NOT NULL)
);
-- These hold only what is not done, so that work does not grow with the ledger.
CREATE INDEX IF NOT EXISTS grants_active ON sym.grants (user_oid, role_oid)
    WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS grants_expiring ON sym.grants (expires_at)
    WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS grants_with_sessions ON sym.grants (revoked_at)
    WHERE revoked_at IS NOT NULL AND sessions_ended_at IS NULL;

-- Whose a database user is: the first to be given a role as that user. When a person's
-- address changes, or a user passes to somebody else, change or delete the row by hand.
CREATE TABLE IF NOT EXISTS sym.users (
    username name PRIMARY KEY,
    email    text NOT NULL
);

-- A role by its name, or by its number where it was renamed; NULL where it was dropped.
CREATE OR REPLACE FUNCTION sym.resolve(of_name name, of_oid oid) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT oid FROM pg_roles WHERE rolname = of_name OR oid = of_oid
    ORDER BY rolname = of_name DESC LIMIT 1
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

-- Why a role must never be handed out: the name of the role that makes it dangerous, which
-- is itself or one that it is a member of; NULL where it is harmless. Dangerous is what can
-- give itself other roles, act outside the database, or change this ledger.
CREATE OR REPLACE FUNCTION sym.danger(target oid) RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE reached (oid) AS (
        SELECT target
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT rolname FROM reached JOIN pg_roles USING (oid)
    WHERE rolsuper OR rolcreaterole OR rolreplication
       OR rolname IN ('rds_superuser', 'rdsadmin', 'rds_replication', 'pg_read_server_files',
                      'pg_write_server_files', 'pg_execute_server_program')
       OR rolname = current_user
       OR oid = (SELECT nspowner FROM pg_namespace WHERE nspname = 'sym')
    ORDER BY oid <> target, rolname LIMIT 1
$$;

-- Ends the sessions of the user of a run that was ended, once, unless the user still holds
-- the role: a session that did SET ROLE would keep it until its end. It runs with its
-- owner's rights so that the broker need not be allowed to end sessions of its choice: it
-- acts only for a run that the ledger says is revoked, and never on a superuser's. It waits
-- until they are gone and answers how many.
CREATE OR REPLACE FUNCTION sym.end_sessions(ended_run text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended    sym.grants;
    holder   oid;
    role     oid;
    pids     integer[];
    deadline timestamptz := clock_timestamp() + interval '3 seconds';
BEGIN
    SELECT * INTO ended FROM sym.grants
    WHERE run = ended_run AND revoked_at IS NOT NULL AND sessions_ended_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE sym.grants SET sessions_ended_at = clock_timestamp() WHERE run = ended_run;

    holder := sym.resolve(ended.username, ended.user_oid);
    role := sym.resolve(ended.rolename, ended.role_oid);
    IF EXISTS (SELECT FROM pg_roles WHERE oid = holder AND rolsuper)
       OR (holder IS NOT NULL AND role IS NOT NULL AND sym.holds(holder, role)) THEN
        RETURN 0;
    END IF;
    -- The sessions of a user who was dropped go on, too.
    holder := coalesce(holder, ended.user_oid);

    -- First who, then the deed: in one query the planner could do it the other way round.
    SELECT array_agg(pid) INTO pids FROM pg_stat_activity
    WHERE usesysid = holder AND pid <> pg_backend_pid();
    PERFORM pg_terminate_backend(pid) FROM unnest(pids) pid;
    LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity
                              WHERE pid = ANY (pids) AND usesysid = holder);
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'a session of "%" does not end', ended.username
                USING ERRCODE = 'lock_not_available';
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN coalesce(cardinality(pids), 0);
END
$$;

-- The broker reads and adds to the ledger, and can change in it that a run was revoked.
REVOKE ALL ON ALL TABLES IN SCHEMA sym FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sym FROM PUBLIC;
DO $$
DECLARE
    broker text := current_setting('sym.broker');
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA sym TO %I', broker);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE (revoked_at) ON sym.grants TO %I', broker);
    EXECUTE format('GRANT SELECT, INSERT ON sym.users TO %I', broker);
    EXECUTE format('GRANT EXECUTE ON FUNCTION sym.resolve(name, oid), sym.holds(oid, oid), '
        'sym.danger(oid), sym.end_sessions(text) TO %I', broker);
END
$$;

-- The function would refuse these every time; say so now, and leave nothing behind.
DO $$
DECLARE
    target text;
    danger text;
BEGIN
    FOR target, danger IN
        SELECT rolname, sym.danger(oid)
        FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t
        JOIN pg_roles ON rolname = btrim(t)
    LOOP
        IF danger IS NOT NULL THEN
            RAISE EXCEPTION 'The role "%" must not be handed out: it is, or is a member of, '
                '"%".', target, danger;
        END IF;
    END LOOP;
END
$$;
COMMIT;

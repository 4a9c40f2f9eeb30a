-- Removes what setup.sql made. Run it as the user who ran setup.sql:
--
--   psql -v broker=sym_broker -f uninstall.sql "dbname=... host=..."
--
-- Delete the function first, or it keeps querying its ledger. This script refuses while roles
-- are handed out; with -v revoke=on it takes them back (a session that did SET ROLE keeps its
-- role until it ends). It deletes the ledger: copy sym.grants first if you need it. The roles,
-- the people's users and whatever others granted them stay, and so do the users that the
-- function made.

\set ON_ERROR_STOP on
\set QUIET on
\set SHOW_CONTEXT never
\if :{?broker}
\else
\set broker sym_broker
\endif
\if :{?revoke}
\else
\set revoke off
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
\o /dev/null
SELECT set_config('sym.broker', :'broker', true) AS broker,
       set_config('sym.revoke', :'revoke', true) AS revoke,
       -- Without the schema there is no broker to drop.
       set_config('sym.installed', (to_regnamespace('sym') IS NOT NULL)::text, true) AS installed;
\o

DO $$
DECLARE
    broker  text := current_setting('sym.broker');
    by_us   oid := (SELECT oid FROM pg_roles WHERE rolname = broker);
    holders text;
    given   record;
BEGIN
    IF EXISTS (SELECT FROM pg_namespace
               WHERE nspname = 'sym' AND NOT pg_has_role(nspowner, 'MEMBER')) THEN
        RAISE EXCEPTION 'The schema "sym" belongs to "%". Run this as that user.',
            (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'sym');
    END IF;
    SELECT rolname INTO holders FROM pg_policy p JOIN pg_roles r ON r.oid = p.polroles[1]
    WHERE p.polname = 'broker' AND p.polrelid = to_regclass('sym.grants') AND r.rolname <> broker;
    IF holders IS NOT NULL THEN
        RAISE EXCEPTION 'The broker of this ledger is "%", not "%". Run this with -v broker=%.',
            holders, broker, holders;
    END IF;
    IF broker IN (current_user, session_user) THEN
        RAISE EXCEPTION 'The broker "%" cannot remove itself.', broker;
    END IF;

    SELECT string_agg(format('%s of %s', roleid::regrole, member::regrole), ', ') INTO holders
    FROM pg_auth_members WHERE grantor = by_us;
    IF holders IS NOT NULL AND current_setting('sym.revoke') <> 'on' THEN
        RAISE EXCEPTION 'Roles are still handed out: %. Once the function is deleted, nothing '
            'takes them back. Take them back now with: psql -v broker=% -v revoke=on -f uninstall.sql',
            holders, broker;
    END IF;
    -- From version 16 on a membership is revoked in the name of its grantor, which needs the
    -- grantor's rights; the broker's creator can grant itself these.
    IF holders IS NOT NULL AND NOT pg_has_role(broker, 'USAGE') THEN
        EXECUTE format('GRANT %I TO CURRENT_USER', broker);
    END IF;
    FOR given IN SELECT roleid, member FROM pg_auth_members WHERE grantor = by_us LOOP
        IF current_setting('server_version_num')::int >= 160000 THEN
            EXECUTE format('REVOKE %s FROM %s GRANTED BY %I CASCADE',
                given.roleid::regrole, given.member::regrole, broker);
        ELSE
            EXECUTE format('REVOKE %s FROM %s', given.roleid::regrole, given.member::regrole);
        END IF;
    END LOOP;
END
$$;

-- Each by its name and never with CASCADE: objects that somebody added stop this script.
DROP FUNCTION IF EXISTS sym.age_since(xid8);
DROP FUNCTION IF EXISTS sym.appeared(sym.grants, xid8, xid8, integer);
DROP FUNCTION IF EXISTS sym.assign_user(name, text);
DROP FUNCTION IF EXISTS sym.changed_privileges(integer, oid[], oid[], boolean);
DROP FUNCTION IF EXISTS sym.clear_way();
DROP FUNCTION IF EXISTS sym.clear_way(boolean);
DROP FUNCTION IF EXISTS sym.create_user(name, text);
DROP FUNCTION IF EXISTS sym.danger(oid);
DROP FUNCTION IF EXISTS sym.end_sessions(oid, oid, interval);
DROP FUNCTION IF EXISTS sym.end_sessions(oid, oid, interval, timestamptz);
DROP FUNCTION IF EXISTS sym.end_sessions(text);
DROP FUNCTION IF EXISTS sym.examine(oid, boolean);
DROP FUNCTION IF EXISTS sym.explained(oid, boolean, oid[]);
DROP FUNCTION IF EXISTS sym.exposed();
DROP FUNCTION IF EXISTS sym.finish(text, bigint, bigint, boolean, boolean, bigint);
DROP FUNCTION IF EXISTS sym.held_by_others(text, oid, oid, text, boolean);
DROP FUNCTION IF EXISTS sym.holding(text);
DROP FUNCTION IF EXISTS sym.holds(oid, oid);
DROP FUNCTION IF EXISTS sym.in_use(oid);
DROP FUNCTION IF EXISTS sym.left_attached(oid, oid[], oid[], integer, boolean);
DROP FUNCTION IF EXISTS sym.left_behind(oid, oid, xid8, xid8);
DROP FUNCTION IF EXISTS sym.left_changed(oid[], integer);
DROP FUNCTION IF EXISTS sym.left_default_privileges(oid, oid[], oid[], integer, integer);
DROP FUNCTION IF EXISTS sym.left_in_databases(oid, oid[], integer);
DROP FUNCTION IF EXISTS sym.left_in_use(oid);
DROP FUNCTION IF EXISTS sym.left_jobs(oid[], integer);
DROP FUNCTION IF EXISTS sym.left_memberships(oid, oid[], oid[], oid, integer, integer);
DROP FUNCTION IF EXISTS sym.left_owned(oid, oid, oid[], oid[], oid[], oid[], integer, integer);
DROP FUNCTION IF EXISTS sym.left_parameters(oid, oid[], integer);
DROP FUNCTION IF EXISTS sym.left_prepared(oid[], oid[], integer);
DROP FUNCTION IF EXISTS sym.left_privileges(oid, oid[], oid[], integer, integer, oid[], oid[],
    boolean);
DROP FUNCTION IF EXISTS sym.left_rules(oid, oid[], integer, integer);
DROP FUNCTION IF EXISTS sym.left_settings(oid[], integer);
DROP FUNCTION IF EXISTS sym.left_triggers(oid, oid[], oid[], oid[], integer, integer);
DROP FUNCTION IF EXISTS sym.listed_later(sym.grants);
DROP FUNCTION IF EXISTS sym.look_again(text, integer);
DROP FUNCTION IF EXISTS sym.looked(text, json);
DROP FUNCTION IF EXISTS sym.mark(text, text, xid);
DROP FUNCTION IF EXISTS sym.may_use(oid, oid, boolean);
DROP FUNCTION IF EXISTS sym.may_work(oid, oid, boolean);
DROP FUNCTION IF EXISTS sym.micros(timestamptz);
DROP FUNCTION IF EXISTS sym.next_from(sym.grants);
DROP FUNCTION IF EXISTS sym.note_complete(text);
DROP FUNCTION IF EXISTS sym.note_granted(text, text, text, text, text, bigint, bigint, boolean,
    boolean);
DROP FUNCTION IF EXISTS sym.note_open(text);
DROP FUNCTION IF EXISTS sym.note_revoked(text, bigint, bigint, text[]);
DROP FUNCTION IF EXISTS sym.oldest_open(oid);
DROP FUNCTION IF EXISTS sym.open_now();
DROP FUNCTION IF EXISTS sym.owned_by(oid[]);
DROP FUNCTION IF EXISTS sym.prepared(oid, oid, timestamptz);
DROP FUNCTION IF EXISTS sym.privileges_changed(integer);
DROP FUNCTION IF EXISTS sym.readable(text);
DROP FUNCTION IF EXISTS sym.readers();
DROP FUNCTION IF EXISTS sym.resolve(name, oid);
DROP FUNCTION IF EXISTS sym.resolve(name, oid, text);
DROP FUNCTION IF EXISTS sym.search(text, boolean, boolean, integer);
DROP FUNCTION IF EXISTS sym.situation(text, text, text, boolean);
DROP FUNCTION IF EXISTS sym.starting();
DROP FUNCTION IF EXISTS sym.still_through(oid, oid);
DROP FUNCTION IF EXISTS sym.take_back(oid, oid, xid8, xid8);
DROP FUNCTION IF EXISTS sym.to_look_at(integer);
DROP FUNCTION IF EXISTS sym.watched();
DROP FUNCTION IF EXISTS sym.whole(xid);
DROP FUNCTION IF EXISTS sym.whose(oid, oid);
DROP FUNCTION IF EXISTS sym.wrote_as(xid, oid, oid[]);
DROP FUNCTION IF EXISTS sym.worth_a_look(oid[], oid[], oid[], integer);
DROP FUNCTION IF EXISTS sym.young(xid, integer);
DROP FUNCTION IF EXISTS sym.youngest(xid[]);
DROP TABLE IF EXISTS sym.grants;
DROP TABLE IF EXISTS sym.users;
DROP TABLE IF EXISTS sym.locks;
DROP TABLE IF EXISTS sym.allowed;
DROP FUNCTION IF EXISTS sym.origin();
DROP SCHEMA IF EXISTS sym;

-- Dropping the broker also drops its memberships, and with them the ADMIN OPTION. Any other
-- right of the broker's stops this script, since somebody uses the broker for something else.
DO $$
DECLARE
    broker text := current_setting('sym.broker');
BEGIN
    IF current_setting('sym.installed')::boolean
       AND EXISTS (SELECT FROM pg_roles WHERE rolname = broker) THEN
        EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM %I', current_database(), broker);
        EXECUTE format('DROP ROLE %I', broker);
    END IF;
END
$$;
COMMIT;
\echo Removed.

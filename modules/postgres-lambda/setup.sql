-- What the Postgres function needs in a database, to be run once by the database's owner
-- (on RDS and Aurora: the master user), and again whenever the roles change:
--
--   psql -v broker=sym_broker -v roles=readonly,readwrite -f setup.sql "dbname=... host=..."
--
-- It makes the broker, which is the user that the function logs in as; lets it hand out
-- the named roles, and no others; and makes the schema "sym" with the ledger of what was
-- handed out. It can be run any number of times, brings an older ledger up to date, and
-- never deletes anything.
--
-- The broker has no password afterwards. Give it one with psql's \password (it does not
-- show in the server's log), or on RDS and Aurora: GRANT rds_iam TO sym_broker;
--
-- It makes no users: the people who request access are users of the database already. With
-- -v create_users=on the function may make those who are missing: see sym.create_user. The
-- next run without it takes that back, as it does with roles that the list leaves out.
--
-- A role that can log in, owns objects or hands out others is refused: what its holder makes
-- of that lasts. -v allow=app,reports allows it by name. A publication FOR ALL TABLES takes
-- in the ledger, which stops its subscribers: that is refused without -v publish=on. Another
-- broker than before is refused without -v replace=on. Give all options every time: what is
-- left out is taken back.
--
-- pg_dump by anybody but a superuser needs --exclude-schema=sym afterwards: nobody else may
-- read the ledger. To remove all of it, run uninstall.sql.

\set ON_ERROR_STOP on
\set QUIET on
\set SHOW_CONTEXT never
\if :{?broker}
\else
\set broker sym_broker
\endif
\if :{?roles}
\else
\set roles ''
\endif
\if :{?create_users}
\else
\set create_users off
\endif
\if :{?allow}
\else
\set allow ''
\endif
\if :{?publish}
\else
\set publish off
\endif
\if :{?replace}
\else
\set replace off
\endif

BEGIN;
SET LOCAL client_min_messages = warning;
-- Settings of the database or of a role change nothing here.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL row_security = on;
SET LOCAL statement_timeout = 0;
-- What waits for us, such as the broker, waits as long as we do.
SET LOCAL lock_timeout = '10s';
\o /dev/null
SELECT set_config('sym.broker', :'broker', true) AS broker,
       set_config('sym.roles', :'roles', true) AS roles,
       set_config('sym.create_users', :'create_users', true) AS create_users,
       set_config('sym.allow', :'allow', true) AS allow,
       set_config('sym.publish', :'publish', true) AS publish,
       set_config('sym.replace', :'replace', true) AS replace;
\o

\ir setup/refuse.sql
\ir setup/broker.sql
\ir setup/ledger.sql
\ir setup/functions.sql
\ir setup/catalogue.sql
\ir setup/examine.sql
\ir setup/readers.sql
\ir setup/questions.sql
\ir setup/in_use.sql
\ir setup/left_elsewhere.sql
\ir setup/left_attached.sql
\ir setup/left_owned.sql
\ir setup/left_privileges.sql
\ir setup/left_behind.sql
\ir setup/take_back.sql
\ir setup/rights.sql
\ir setup/targets.sql
COMMIT;
\echo Done: :broker can hand out :roles '- if it is new, give it a password with \\password, or rds_iam.'

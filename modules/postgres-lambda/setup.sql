-- Prepares a database for the Postgres function. The database's owner (on RDS and Aurora: the
-- master user) runs it once, and again whenever the roles change:
--
--   psql -v broker=sym_broker -v roles=readonly,readwrite -f setup.sql "dbname=... host=..."
--
-- It makes the broker, the user that the function logs in as; lets it hand out only the named
-- roles; and makes the schema "sym" with the ledger of grants. You can run it any number of
-- times. It brings an older ledger up to date, and never deletes rows.
--
-- The broker has no password afterwards. Give it one with psql's \password (it does not
-- show in the server's log), or on RDS and Aurora: GRANT rds_iam TO sym_broker;
--
-- It makes no users: the people who request access must already be users of the database. With
-- -v create_users=on the function may make missing users: see sym.create_user. A later run
-- without the option takes that back, as it does with roles that are not in the list.
--
-- It refuses a role that can log in, owns objects or can hand out others, since its holder could
-- keep access; -v allow=app,reports allows such roles by name. It refuses a publication FOR ALL
-- TABLES without -v publish=on, because the publication would include the ledger and stop its
-- subscribers. It refuses a different broker without -v replace=on. Give all options every time:
-- a run takes back what you leave out.
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
-- Override settings of the database or of a role.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL row_security = on;
SET LOCAL statement_timeout = 0;
-- Others, such as the broker, queue behind our locks, so do not wait long.
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
\ir setup/search.sql
\ir setup/look_again.sql
\ir setup/rights.sql
\ir setup/targets.sql
COMMIT;
\echo Done: :broker can hand out :roles '- if it is new, give it a password with \\password, or rds_iam.'

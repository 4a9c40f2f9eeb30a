CREATE SCHEMA IF NOT EXISTS sym;
COMMENT ON SCHEMA sym IS 'The ledger of roles that are handed out for a time.';

-- Where a row was written: the server's system identifier and the database's number. Role
-- numbers are meaningful only in that server, see sym.resolve. If the identifier may not be
-- read, it is 0.
CREATE OR REPLACE FUNCTION sym.origin() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here text := (SELECT oid FROM pg_database WHERE datname = current_database());
BEGIN
    IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
        RETURN (SELECT system_identifier || '/' || here FROM pg_control_system());
    END IF;
    RETURN '0/' || here;
END
$$;

-- One row for each run, which is one request. The function never deletes rows; you may delete
-- those that are revoked and that you no longer need.
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
    -- The role in whose name the membership was granted.
    grantor           oid,
    CHECK (granted_at IS NULL OR (username IS NOT NULL AND user_oid IS NOT NULL
        AND rolename IS NOT NULL AND role_oid IS NOT NULL AND expires_at IS NOT NULL)),
    CHECK (granted_at IS NOT NULL OR revoked_at IS NOT NULL)
);
-- Added in version 3 of the ledger. Older rows count as written here if their numbers still
-- belong to the roles that they name; for the others the names count.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS origin text;
ALTER TABLE sym.grants ALTER COLUMN origin SET DEFAULT sym.origin();
UPDATE sym.grants g SET origin = sym.origin()
WHERE origin IS NULL AND revoked_at IS NULL
  AND EXISTS (SELECT FROM pg_roles WHERE oid = user_oid AND rolname = username)
  AND EXISTS (SELECT FROM pg_roles WHERE oid = role_oid AND rolname = rolename);
-- The transaction of the grant: any younger row in the catalogue was written since then. For
-- runs that overlap it is the transaction of the first, and so is the time since which the
-- person has held the role.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS granted_in xid8;
ALTER TABLE sym.grants ALTER COLUMN granted_in SET DEFAULT pg_current_xact_id();
-- The oldest transaction that was open then, of any user. It can be used with the role as well,
-- and what it writes carries its number, which is older than the grant.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS oldest_then xid8;
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS held_since timestamptz;
-- For a run whose end is complete: the transactions of other people that were open after the last
-- search for what was left behind, NULL if none is left to look at; the oldest transaction whose
-- work that search may have missed; and the findings that people have already been told about.
-- Such a transaction may be inside a function that the holder made, so sweeps check what it did.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS open_then text[];
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS open_from xid8;
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS told text[];

-- Members of pg_read_all_data can read column statistics, and long values in TOAST tables.
DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['run', 'username', 'rolename', 'requester', 'reason', 'origin',
                             'open_then', 'told'] LOOP
        EXECUTE format('ALTER TABLE sym.grants ALTER COLUMN %I SET STATISTICS 0', kept);
        IF kept NOT LIKE '%name' THEN
            EXECUTE format('ALTER TABLE sym.grants ALTER COLUMN %I SET STORAGE MAIN', kept);
        END IF;
    END LOOP;
END
$$;
-- Partial indexes of unfinished rows, so that the work does not grow with the ledger.
CREATE INDEX IF NOT EXISTS grants_active ON sym.grants (user_oid, role_oid)
    WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS grants_active_names ON sym.grants (username, rolename)
    WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS grants_expiring ON sym.grants (expires_at)
    WHERE revoked_at IS NULL;
CREATE INDEX IF NOT EXISTS grants_with_sessions ON sym.grants (revoked_at)
    WHERE revoked_at IS NOT NULL AND sessions_ended_at IS NULL;
CREATE INDEX IF NOT EXISTS grants_to_look_at ON sym.grants (revoked_at)
    WHERE open_then IS NOT NULL;
-- The later runs of a role, however long the ledger is.
CREATE INDEX IF NOT EXISTS grants_of_role ON sym.grants (role_oid, revoked_at);

-- Which person a database user belongs to: the first who was given a role as that user. Use
-- sym.assign_user when a person's address changes or the user passes to somebody else.
CREATE TABLE IF NOT EXISTS sym.users (
    username name PRIMARY KEY,
    email    text NOT NULL
);
ALTER TABLE sym.users ALTER COLUMN username SET STATISTICS 0;
ALTER TABLE sym.users ALTER COLUMN email SET STATISTICS 0;
-- When we made this user; NULL if somebody else did. Added in version 2 of the ledger.
ALTER TABLE sym.users ADD COLUMN IF NOT EXISTS made_at timestamptz;

-- The rows to lock while something about a user changes. Anybody who can log in could take an
-- advisory lock.
CREATE TABLE IF NOT EXISTS sym.locks (
    user_oid oid PRIMARY KEY
);

-- The roles that are allowed although their holders could keep access: see sym.examine.
CREATE TABLE IF NOT EXISTS sym.allowed (
    rolename name PRIMARY KEY
);

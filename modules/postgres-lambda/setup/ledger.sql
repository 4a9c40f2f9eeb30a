CREATE SCHEMA IF NOT EXISTS sym;
COMMENT ON SCHEMA sym IS 'The ledger of roles that are handed out for a time.';

-- Where a row was written: the server by its system identifier, and the database by its
-- number. Numbers of roles mean something in that server alone, see sym.resolve. A server that
-- keeps its identifier to itself is 0.
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
-- Added in version 3 of the ledger. Rows from before are from here if their numbers still
-- mean the roles that they name; the others are taken by their names.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS origin text;
ALTER TABLE sym.grants ALTER COLUMN origin SET DEFAULT sym.origin();
UPDATE sym.grants g SET origin = sym.origin()
WHERE origin IS NULL AND revoked_at IS NULL
  AND EXISTS (SELECT FROM pg_roles WHERE oid = user_oid AND rolname = username)
  AND EXISTS (SELECT FROM pg_roles WHERE oid = role_oid AND rolname = rolename);
-- The transaction of the grant: what is younger in the catalogue came while it lasted. Of runs
-- that overlap, it is that of the first, and so is the time since which the role is held.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS granted_in xid8;
ALTER TABLE sym.grants ALTER COLUMN granted_in SET DEFAULT pg_current_xact_id();
-- The oldest transaction that anybody had open then. It can be used with the role as well, and
-- what it writes has its number, from before the grant.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS oldest_then xid8;
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS held_since timestamptz;
-- The transactions of other people that were open when the role had been taken away, NULL once
-- they are over; the oldest number among them; and what people have been told already. They may
-- have been inside of something that the holder made, so that a sweep looks at what they did.
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS open_then text[];
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS open_from xid8;
ALTER TABLE sym.grants ADD COLUMN IF NOT EXISTS told text[];

-- Members of pg_read_all_data can read the statistics of columns, and long values that are
-- stored apart.
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
-- These hold only what is not done, so that work does not grow with the ledger.
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

-- Whose a database user is: the first to be given a role as that user. When a person's
-- address changes, or a user passes to somebody else: sym.assign_user.
CREATE TABLE IF NOT EXISTS sym.users (
    username name PRIMARY KEY,
    email    text NOT NULL
);
ALTER TABLE sym.users ALTER COLUMN username SET STATISTICS 0;
ALTER TABLE sym.users ALTER COLUMN email SET STATISTICS 0;
-- When we made this user; NULL where somebody else did. Added in version 2 of the ledger.
ALTER TABLE sym.users ADD COLUMN IF NOT EXISTS made_at timestamptz;

-- The row that is locked while something about a user changes. An advisory lock could be
-- taken by anybody who can log in.
CREATE TABLE IF NOT EXISTS sym.locks (
    user_oid oid PRIMARY KEY
);

-- The roles that are handed out although what their holders make may last: see sym.examine.
CREATE TABLE IF NOT EXISTS sym.allowed (
    rolename name PRIMARY KEY
);

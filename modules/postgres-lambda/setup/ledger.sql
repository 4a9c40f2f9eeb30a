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
-- When we made this user; NULL where somebody else did. Added in version 2 of the ledger.
ALTER TABLE sym.users ADD COLUMN IF NOT EXISTS made_at timestamptz;

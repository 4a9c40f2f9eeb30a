-- The broker reads and adds to the ledger, and can change in it that a run was revoked and
-- its sessions dealt with.
REVOKE ALL ON ALL TABLES IN SCHEMA sym FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sym FROM PUBLIC;
DO $$
DECLARE
    broker text := current_setting('sym.broker');
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA sym TO %I', broker);
    -- What an earlier version of this file or of its settings granted and this one does not.
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA sym FROM %I', broker);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sym FROM %I', broker);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE (revoked_at, sessions_ended_at) '
        'ON sym.grants TO %I', broker);
    EXECUTE format('GRANT SELECT, INSERT (username, email) ON sym.users TO %I', broker);
    EXECUTE format('GRANT EXECUTE ON FUNCTION sym.resolve(name, oid), sym.holds(oid, oid), '
        'sym.danger(oid), sym.end_sessions(text) TO %I', broker);
    IF current_setting('sym.create_users') = 'on' THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION sym.create_user(name, text) TO %I', broker);
    END IF;
END
$$;

-- The servers that replicate from this one and admit sessions, which this one cannot see:
-- Aurora's readers by name, standbys by the address that they replicate from, which is NULL if
-- the owner of this function lacks pg_read_all_stats. It leaves out subscribers of logical
-- replication, base backups and archivers. It runs with its owner's rights, since the broker may
-- not see who replicates.
CREATE OR REPLACE FUNCTION sym.readers() RETURNS TABLE (name text, address text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A reader that has not reported for five minutes is gone.
    IF to_regprocedure('pg_catalog.aurora_replica_status()') IS NOT NULL THEN
        RETURN QUERY EXECUTE
            'SELECT server_id::text, NULL::text FROM pg_catalog.aurora_replica_status()
            WHERE session_id <> ''MASTER_SESSION_ID'' AND coalesce(
                last_update_timestamp > clock_timestamp() - interval ''5 minutes'', true)';
    END IF;
    -- Only a standby reports how far it has replayed. One without an address is on this
    -- machine.
    RETURN QUERY SELECT NULL::text,
        CASE WHEN r.state IS NOT NULL THEN coalesce(host(r.client_addr), '127.0.0.1') END
    FROM pg_stat_replication r
    WHERE (r.state IS NULL OR r.replay_lsn IS NOT NULL) AND NOT EXISTS (
        SELECT FROM pg_replication_slots s
        WHERE s.active_pid = r.pid AND s.slot_type = 'logical');
END
$$;

-- Takes back what the holder of a role left behind, as far as that is safe, and returns all that
-- was found. It drops nothing. Each statement runs on its own and waits at most a tenth of a
-- second for a lock. Whatever a second search still finds is reported as not taken back. What a
-- later search would find because of these statements has NULL there. It runs with its owner's
-- rights, and can take back no more than these allow. None of the statements evaluates a user's
-- expression or calls a user's function.
CREATE OR REPLACE FUNCTION sym.take_back(
    holder oid, role oid, since xid8, oldest xid8 DEFAULT NULL
) RETURNS TABLE (kind text, what text, undo text, taken_back boolean, written xid)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
#variable_conflict use_column
DECLARE
    found    record;
    before   jsonb[] := '{}';
    tried    text[] := '{}';
    still    text[];
    started  xid8 := pg_snapshot_xmin(pg_current_snapshot());
    -- Half of the caller's timeout, so that there is time to search again.
    allowed  interval := nullif(current_setting('statement_timeout'), '0');
    deadline timestamptz := clock_timestamp() + least(interval '2 seconds', allowed / 2);
BEGIN
    FOR found IN SELECT l.* FROM sym.left_behind(holder, role, since, oldest) l LOOP
        before := before || to_jsonb(found);
        IF found.safe AND found.undo IS NOT NULL AND clock_timestamp() < deadline THEN
            BEGIN
                EXECUTE found.undo;
                tried := tried || found.undo;
            EXCEPTION WHEN OTHERS THEN
                NULL; -- It is reported as not taken back.
            END;
        END IF;
    END LOOP;
    IF tried <> '{}' THEN
        SELECT array_agg(l.undo) INTO still
        FROM sym.left_behind(holder, role, since, oldest) l WHERE l.undo IS NOT NULL;
    END IF;
    RETURN QUERY
    SELECT b->>'kind', b->>'what', b->>'undo', coalesce(b->>'undo' = ANY (tried)
            AND b->>'undo' <> ALL (coalesce(still, '{}')), false), (b->>'written')::xid
    FROM unnest(before) WITH ORDINALITY AS b (b, n) ORDER BY n;
    IF tried <> '{}' THEN
        -- A row that we can see, of a transaction in progress, is our own.
        RETURN QUERY
        SELECT l.kind, l.what, l.undo, NULL::boolean, l.written
        FROM sym.left_behind(holder, role, started) l
        WHERE pg_xact_status(sym.whole(l.written)) = 'in progress';
    END IF;
END
$$;

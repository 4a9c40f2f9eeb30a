-- Takes back what the holder of a role left behind, as far as that is safe, and returns all that
-- was found. It drops nothing. Each statement runs on its own and waits at most a tenth of a
-- second for a lock. Whatever a second search still finds is reported as not taken back; what that
-- search finds only because of these statements has NULL there. It runs with its owner's rights,
-- and can take back no more than these allow. None of the statements evaluates a user's
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
    still    jsonb[] := '{}';
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
        still := ARRAY(SELECT to_jsonb(l) FROM sym.left_behind(holder, role, since, oldest) l);
    END IF;
    RETURN QUERY
    SELECT b->>'kind', b->>'what', b->>'undo', coalesce(b->>'undo' = ANY (tried) AND NOT EXISTS (
            SELECT FROM unnest(still) s WHERE s->>'undo' = b->>'undo'), false),
        (b->>'written')::xid
    FROM unnest(before) WITH ORDINALITY AS b (b, n) ORDER BY n;
    -- A row that we can see, of a transaction in progress, is our own.
    RETURN QUERY
    SELECT s->>'kind', s->>'what', s->>'undo', NULL::boolean, (s->>'written')::xid
    FROM unnest(still) s
    WHERE pg_xact_status(sym.whole((s->>'written')::xid)) = 'in progress';
END
$$;

-- Searches, at the end of a run, for what its holder left behind, and takes back what is safe to
-- take back if that is wanted. It returns the first findings and how many there are more, or the
-- reason why there was no search.
--
-- It records what a sweep has to look at again. Whoever is inside a function of the holder's that
-- was dropped before the search is in a transaction that is open after it, or that is over before
-- the sweep. So the open transactions are read after the search, and the sweep searches once more
-- in any case.
CREATE OR REPLACE FUNCTION sym.search(of_run text, gone boolean, taking boolean, most integer)
RETURNS json
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    g        sym.grants;
    since    xid8 := pg_snapshot_xmin(pg_current_snapshot());
    findings json;
    total    integer;
    marks    text[];
BEGIN
    SELECT * INTO g FROM sym.grants WHERE run = of_run;
    IF g.origin IS DISTINCT FROM sym.origin() THEN
        RETURN json_build_object('reason', 'The role was granted in another server or database, '
            'before this ledger was copied.');
    ELSIF g.granted_in IS NULL THEN
        RETURN json_build_object('reason', 'The role was granted before the ledger noted what is '
            'needed for it.');
    END IF;
    WITH l AS MATERIALIZED (
        SELECT l.kind, l.what, false AS taken_back, l.written, l.n
        FROM sym.left_behind(g.user_oid, g.role_oid, g.granted_in, g.oldest_then)
            WITH ORDINALITY AS l (kind, what, undo, safe, written, n)
        WHERE NOT (gone AND taking)
        UNION ALL
        SELECT t.kind, t.what, t.taken_back, t.written, t.n
        FROM sym.take_back(g.user_oid, g.role_oid, g.granted_in, g.oldest_then)
            WITH ORDINALITY AS t (kind, what, undo, taken_back, written, n)
        WHERE gone AND taking
    )
    SELECT (SELECT json_agg(json_build_object('kind', f.kind,
                'what', sym.readable(left(f.what, 300)), 'taken_back', f.taken_back) ORDER BY f.n)
            FROM (SELECT * FROM l WHERE l.taken_back IS NOT NULL ORDER BY l.n LIMIT most) AS f),
        (SELECT count(*) FROM l WHERE l.taken_back IS NOT NULL),
        -- The next search lists what was written by these and younger transactions.
        (SELECT array_agg(sym.mark(l.kind, l.what, l.written)) FROM l
            WHERE l.kind = 'in_use' OR sym.whole(l.written) >= since)
    INTO findings, total, marks;
    UPDATE sym.grants SET open_from = since, told = marks,
        open_then = CASE WHEN gone THEN ARRAY(SELECT o.transaction FROM sym.open_now() o) END
    WHERE run = of_run AND sessions_ended_at IS NOT NULL;
    RETURN json_build_object('found', findings, 'more', greatest(total - most, 0));
END
$$;

-- Adds the transactions that are open now. A call of a function goes on with the rights of the
-- role if it began before these were taken back from the function.
CREATE OR REPLACE FUNCTION sym.note_open(of_run text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE sym.grants SET open_then = open_then || ARRAY(
        SELECT o.transaction FROM sym.open_now() o EXCEPT SELECT unnest(open_then))
    WHERE run = of_run AND open_then IS NOT NULL;
END
$$;

-- Searches, at the end of a run, for what its holder left behind, and takes back what is safe to
-- take back if that is wanted. It returns the first findings and how many there are more, or the
-- reason why there was no search.
--
-- It records what a sweep has to look at again. Whoever is inside a function of the holder's that
-- was dropped before the search is in a transaction that is open after it, or that is over before
-- the sweep. So the open transactions are read after the search, and the sweep searches once more
-- in any case, up to the transactions of that moment.
CREATE OR REPLACE FUNCTION sym.search(of_run text, gone boolean, taking boolean, most integer)
RETURNS json
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    g        sym.grants;
    since    xid8;
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
    since := sym.next_from(g);
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
    ), told AS (
        -- The first of each kind, so that many of one do not hide another.
        SELECT l.* FROM (
            SELECT l.*, row_number() OVER (PARTITION BY l.kind, l.taken_back IS NULL ORDER BY l.n)
                AS turn
            FROM l) AS l
        WHERE l.taken_back IS NOT NULL ORDER BY l.turn, l.n LIMIT most
    )
    SELECT (SELECT json_agg(json_build_object('kind', t.kind,
                'what', left(sym.readable(t.what), 300), 'taken_back', t.taken_back) ORDER BY t.n)
            FROM told t),
        (SELECT count(*) FROM l WHERE l.taken_back IS NOT NULL),
        -- The next search may find again what was written by these and younger transactions.
        (SELECT array_agg(sym.mark(k.kind, k.what, k.written)) FROM (
                SELECT t.kind, t.what, t.written FROM told t
                UNION ALL SELECT l.kind, l.what, l.written FROM l WHERE l.taken_back IS NULL) AS k
            WHERE k.written IS NULL OR sym.whole(k.written) >= since)
    INTO findings, total, marks;
    UPDATE sym.grants SET open_from = CASE WHEN gone THEN since END, told = marks,
        open_then = CASE WHEN gone THEN sym.watched() END
    WHERE run = of_run AND sessions_ended_at IS NOT NULL;
    RETURN json_build_object('found', findings, 'more', greatest(total - most, 0));
END
$$;

-- What is watched after a search: the transactions that are open now, and the first one that has
-- not begun yet.
CREATE OR REPLACE FUNCTION sym.watched() RETURNS text[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    open text[] := ARRAY(SELECT o.transaction FROM sym.open_now() o);
BEGIN
    RETURN ('search ' || pg_snapshot_xmax(pg_current_snapshot())) || open;
END
$$;

-- Watches the transactions that are open now as well. A call of a function goes on with the
-- rights of the role if it began before these were taken back from the function.
CREATE OR REPLACE FUNCTION sym.note_open(of_run text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now text[] := sym.watched();
BEGIN
    UPDATE sym.grants SET open_then = now || ARRAY(
        SELECT t FROM unnest(open_then) t WHERE t NOT LIKE 'search %' AND t <> ALL (now))
    WHERE run = of_run AND open_then IS NOT NULL;
END
$$;

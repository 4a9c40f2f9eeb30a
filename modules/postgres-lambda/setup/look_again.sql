-- Identifies a finding: its kind, and a hash of its words and of the transaction that wrote it,
-- which is another if the same thing is made once more. It is a hash, because users choose the
-- names in a finding, and could otherwise make two look alike.
CREATE OR REPLACE FUNCTION sym.mark(kind text, what text, written xid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN kind || ' ' || left(encode(sha256(convert_to(concat(written, ' ', sym.readable(what)),
        getdatabaseencoding())), 'hex'), 32);
END
$$;

-- The runs that a sweep has to look at again, and whether a look has failed before. First come
-- those at which there is something to find, because a transaction is over; then the others in any
-- order, so that all have a turn; and those that failed last.
CREATE OR REPLACE FUNCTION sym.to_look_at(most integer)
RETURNS TABLE (run text, username text, rolename text, failed boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    still text[] := ARRAY(SELECT unnest(ARRAY[o.transaction, o.before]) FROM sym.open_now() o);
BEGIN
    RETURN QUERY
    SELECT g.run, sym.readable(g.username::text), sym.readable(g.rolename::text),
        coalesce('failed' = ANY (g.told), false) AS failed
    FROM sym.grants g WHERE g.open_then IS NOT NULL AND g.origin = sym.origin()
    ORDER BY failed, g.open_then <@ still, random() LIMIT most;
END
$$;

-- Other runs of the same role list what was made with the role, too, when they end or when a sweep
-- looks at them again. These are the first transactions that they list: runs of the same person,
-- and of others. NULL if there are none.
CREATE OR REPLACE FUNCTION sym.listed_later(of_run sym.grants, OUT theirs xid8, OUT others xid8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT (array_agg(o.granted_in ORDER BY o.granted_in)
                FILTER (WHERE o.user_oid = of_run.user_oid))[1],
        (array_agg(o.granted_in ORDER BY o.granted_in)
                FILTER (WHERE o.user_oid <> of_run.user_oid))[1]
    INTO theirs, others
    FROM sym.grants o
    WHERE o.role_oid = of_run.role_oid AND o.run <> of_run.run AND o.origin = of_run.origin
      AND o.granted_in IS NOT NULL AND (o.revoked_at IS NULL
        -- Whoever kept the role by other means at the end is not watched.
        OR o.revoked_at > of_run.revoked_at
            AND (o.open_then IS NOT NULL OR o.open_from IS NOT NULL));
END
$$;

-- What has appeared since the last search for what was left behind, or since the grant if there
-- was none: the first findings, how many there are more, and the marks of all that the next
-- search may find again. Rows of "until" and of later transactions are left out, and so are plain
-- objects from "others" on, when somebody else held the role: not what lends the role's rights,
-- since a friend's transaction can wait for such a time.
CREATE OR REPLACE FUNCTION sym.appeared(
    g sym.grants, until xid8, others xid8, most integer, OUT findings json, OUT more integer, OUT marks text[]
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    -- No role has this number. What concerns the holder alone is their own affair by now.
    nobody constant oid := 1;
    since  xid8 := sym.next_from(g);
BEGIN
    WITH listed AS MATERIALIZED (
        SELECT l.kind, l.what, l.n,
            -- Up to version 14 nothing takes the owner's rights from a view.
            l.kind = 'owned' AND l.undo IS NULL AND NOT starts_with(l.what, 'view ') AS plain,
            sym.mark(l.kind, l.what, l.written) AS mark,
            sym.whole(l.written) AS written
        FROM sym.left_behind(CASE WHEN g.open_from IS NULL THEN g.user_oid ELSE nobody END,
            g.role_oid, coalesce(g.open_from, g.granted_in), coalesce(g.open_from, g.oldest_then))
            WITH ORDINALITY AS l (kind, what, undo, safe, written, n)
        WHERE l.kind <> 'in_use' AND (g.open_from IS NULL OR l.kind <> 'prepared_transaction')
    ), unknown AS (
        SELECT l.*, row_number() OVER (PARTITION BY l.kind ORDER BY l.n) AS turn
        FROM listed l LEFT JOIN unnest(g.told) t ON t = l.mark
        WHERE t IS NULL AND (until IS NULL OR l.written IS NULL OR l.written < until)
          AND NOT (l.plain AND l.written >= others IS TRUE)
    )
    SELECT (SELECT json_agg(json_build_object('kind', f.kind,
                'what', left(sym.readable(f.what), 300)) ORDER BY f.n)
            FROM (SELECT * FROM unknown ORDER BY turn, n LIMIT most) AS f),
        greatest((SELECT count(*) FROM unknown) - most, 0),
        (SELECT array_agg(l.mark) FROM listed l WHERE l.written IS NULL OR l.written >= since)
    INTO findings, more, marks;
END
$$;

-- The first transaction whose work the search that begins now may miss, but no older one than can
-- have worked with the role.
CREATE OR REPLACE FUNCTION sym.next_from(g sym.grants) RETURNS xid8
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN greatest(pg_snapshot_xmin(pg_current_snapshot()), least(g.granted_in, g.oldest_then));
END
$$;

-- Looks again at a run that has ended: at the tables that transactions use which were open at the
-- last search and, if one of these is over, at what was left behind. It returns only findings that
-- nobody has been told about, and the state that sym.looked records once people have been told.
CREATE OR REPLACE FUNCTION sym.look_again(of_run text, most integer) RETURNS json
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    version text := (SELECT x.xmin::text FROM sym.grants x WHERE x.run = of_run);
    g       sym.grants;
    first   boolean;
    names   text[];
    befores text[];
    open    text[];
    over    text[];
    until   xid8;
    others  xid8;
    since   xid8;
    used    json;
    marks   text[];
    findings   json;
    more       integer;
    left_marks text[];
BEGIN
    SELECT * INTO g FROM sym.grants WHERE run = of_run;
    first := g.open_from IS NULL;
    -- This comes before the search: it finds all that a transaction did which is over by now.
    SELECT coalesce(array_agg(o.transaction), '{}'), coalesce(array_agg(o.before), '{}')
        INTO names, befores FROM sym.open_now() o;
    open := ARRAY(SELECT DISTINCT names[i] FROM generate_subscripts(names, 1) i
        WHERE names[i] = ANY (g.open_then) OR befores[i] = ANY (g.open_then));
    over := ARRAY(SELECT t FROM unnest(g.open_then) t WHERE t <> ALL (names || befores));
    since := sym.next_from(g);

    SELECT json_agg(json_build_object('kind', 'in_use', 'what', left(sym.readable(u.what), 300))),
        array_agg(sym.mark('in_use', u.what, NULL)) INTO used, marks
    FROM sym.in_use(g.role_oid) u
    WHERE u.transaction = ANY (open)
      AND sym.mark('in_use', u.what, NULL) <> ALL (coalesce(g.told, '{}'));
    IF over <> '{}' THEN
        SELECT l.theirs, l.others INTO until, others FROM sym.listed_later(g) l;
        IF NOT first AND over[1] LIKE 'search %' AND cardinality(over) = 1 THEN
            -- Only what was over when the open transactions were read can have been missed.
            until := least(until, split_part(over[1], ' ', 2)::xid8);
        END IF;
        SELECT a.findings, a.more, a.marks INTO findings, more, left_marks
        FROM sym.appeared(g, until, others, most) a;
        g.open_from := since;
        g.told := ARRAY(SELECT t FROM unnest(g.told) t WHERE t LIKE 'in_use %') || left_marks;
    END IF;
    RETURN json_build_object('first', first, 'shared', others IS NOT NULL, 'used', used, 'found', findings, 'more', more,
        'state', json_build_object('version', version, 'open', nullif(open, '{}'),
            'from', g.open_from::text, 'told', g.told || marks));
END
$$;

-- Records the state after a look, once people have been told; or, without a state, that the look
-- has failed. It records nothing if somebody else has searched meanwhile.
CREATE OR REPLACE FUNCTION sym.looked(of_run text, state json) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF state IS NULL THEN
        UPDATE sym.grants SET told = told || 'failed'::text
        WHERE run = of_run AND ('failed' = ANY (told)) IS NOT TRUE;
        RETURN;
    END IF;
    UPDATE sym.grants SET open_from = (state->>'from')::xid8,
        open_then = CASE json_typeof(state->'open') WHEN 'array'
            THEN ARRAY(SELECT json_array_elements_text(state->'open')) END,
        told = CASE json_typeof(state->'told') WHEN 'array'
            THEN ARRAY(SELECT json_array_elements_text(state->'told')) END
    WHERE run = of_run AND xmin::text = state->>'version';
END
$$;

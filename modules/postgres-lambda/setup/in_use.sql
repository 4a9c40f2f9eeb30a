-- Transactions of other users at work on tables that the role has rights to and their own users
-- do not: they are inside a routine of the role's, or read through a view of the role's, which
-- its holder may have made and dropped again. A lock on a table shows them, since it is kept
-- until the transaction is over. Access that a view, a foreign key or a SECURITY DEFINER routine
-- of another owner can explain is not listed.
CREATE OR REPLACE FUNCTION sym.in_use(role oid)
RETURNS TABLE (transaction text, what text, undo text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    led     oid[];
    here    oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
    trusted oid[] := ARRAY(
        SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'sym'
        UNION
        SELECT unnest(p.polroles) FROM pg_policy p
        WHERE p.polrelid = 'sym.grants'::regclass AND p.polname = 'broker');
BEGIN
    WITH RECURSIVE reached (oid) AS (
        SELECT role
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT array_agg(r.oid) INTO led FROM reached r;
    RETURN QUERY
    WITH busy AS (
        SELECT DISTINCT l.virtualtransaction, l.pid, coalesce(a.usesysid, o.oid) AS whose, p.gid,
            -- A partitioned table can be read without rights to its partitions.
            coalesce(pg_partition_root(l.relation)::oid, l.relation) AS relation
        FROM pg_locks l
        LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
        LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
            AND x.virtualtransaction = l.virtualtransaction
        LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
        LEFT JOIN pg_roles o ON o.rolname = p.owner
        WHERE l.locktype = 'relation' AND l.granted AND l.database = here AND l.relation >= 16384
          AND l.pid IS DISTINCT FROM pg_backend_pid()
    )
    SELECT b.virtualtransaction, format('%s is at work on %s, to which "%s" has no right',
            CASE WHEN b.pid IS NULL THEN format('the prepared transaction %L of "%s"', b.gid, u.rolname)
                ELSE format('the session %s of "%s"', b.pid, u.rolname) END,
            min(c.oid::regclass::text), u.rolname),
        CASE WHEN b.pid IS NULL THEN format('ROLLBACK PREPARED %L', b.gid)
            ELSE format('SELECT pg_terminate_backend(%s)', b.pid) END
    FROM busy b JOIN pg_roles u ON u.oid = b.whose JOIN pg_class c ON c.oid = b.relation
    WHERE NOT u.rolsuper AND u.oid <> ALL (trusted) AND c.relkind IN ('r', 'p', 'm', 'f')
      AND NOT c.relispartition AND c.relpersistence <> 't'
      -- By any role that the user can set, inherited or not.
      AND NOT EXISTS (SELECT FROM pg_roles x WHERE pg_has_role(u.oid, x.oid, 'MEMBER') AND (
        has_table_privilege(x.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        OR has_any_column_privilege(x.oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')))
      AND EXISTS (SELECT FROM unnest(led) r
        WHERE has_any_column_privilege(r, c.oid, 'SELECT, INSERT, UPDATE')
           OR has_table_privilege(r, c.oid, 'DELETE, TRUNCATE'))
      AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid)
      AND NOT EXISTS (SELECT FROM pg_constraint f
        WHERE f.contype = 'f' AND c.oid IN (f.conrelid, f.confrelid))
      AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
        JOIN pg_class v ON v.oid = w.ev_class
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = c.oid AND v.oid <> c.oid AND v.relowner <> ALL (led)
          -- A view leads nowhere if its owner has no right to the table.
          AND (has_any_column_privilege(v.relowner, c.oid, 'SELECT, INSERT, UPDATE')
            OR has_table_privilege(v.relowner, c.oid, 'DELETE, TRUNCATE')))
      AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.prosecdef AND p.proowner <> ALL (led)
        AND p.pronamespace <> 'sym'::regnamespace
        AND (has_any_column_privilege(p.proowner, c.oid, 'SELECT, INSERT, UPDATE')
            OR has_table_privilege(p.proowner, c.oid, 'DELETE, TRUNCATE')))
    GROUP BY b.virtualtransaction, b.pid, b.gid, u.rolname;
END
$$;

-- The open transactions of everybody except administrators and the function.
CREATE OR REPLACE FUNCTION sym.open_now() RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT array_agg(l.virtualtransaction) FROM pg_locks l
        LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
        LEFT JOIN pg_roles u ON u.oid = a.usesysid
        WHERE l.granted AND l.mode = 'ExclusiveLock' AND CASE WHEN l.pid IS NULL
            THEN l.locktype = 'transactionid'
            ELSE l.locktype = 'virtualxid' AND a.usesysid IS NOT NULL
                AND u.rolsuper IS NOT TRUE AND u.rolname IS DISTINCT FROM current_user
                AND u.oid IS DISTINCT FROM (SELECT n.nspowner FROM pg_namespace n
                    WHERE n.nspname = 'sym') END);
END
$$;

-- A hash that identifies a finding that people have been told about. It is a hash because users
-- choose the names in a finding, and could otherwise make two findings look alike.
CREATE OR REPLACE FUNCTION sym.mark(kind text, what text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN left(encode(sha256(convert_to(kind || ' ' || what, getdatabaseencoding())), 'hex'), 32);
END
$$;

-- Looks again at runs that ended while other people's transactions were open: at the tables that
-- these transactions use, and, whenever one is over, at what was left behind. It returns only
-- findings that nobody has been told about yet.
CREATE OR REPLACE FUNCTION sym.look_again(most integer)
RETURNS TABLE (run text, username text, rolename text, kind text, what text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    g         record;
    found     record;
    still     text[] := coalesce(sym.open_now(), '{}');
    remaining text[];
BEGIN
    FOR g IN SELECT * FROM sym.grants WHERE open_then IS NOT NULL AND origin = sym.origin()
               -- Who holds the role still, by other means, may go on with it.
               AND sym.still_through(user_oid, role_oid) = '{}'
             ORDER BY open_then <@ still, revoked_at DESC LIMIT most LOOP
        remaining := ARRAY(SELECT unnest(g.open_then) INTERSECT SELECT unnest(still));
        FOR found IN
            SELECT 'in_use' AS kind, u.what FROM sym.in_use(g.role_oid) u
            WHERE u.transaction = ANY (g.open_then)
            UNION ALL
            SELECT l.kind, l.what FROM sym.left_behind(g.user_oid, g.role_oid, g.open_from) l
            WHERE cardinality(remaining) < cardinality(g.open_then)
              AND l.kind NOT IN ('in_use', 'prepared_transaction')
        LOOP
            what := left(found.what, 300);
            CONTINUE WHEN sym.mark(found.kind, what) = ANY (g.told)
                -- If somebody else held the role meanwhile, it is listed when their run ends.
                OR found.kind <> 'in_use' AND EXISTS (SELECT FROM sym.grants o
                    WHERE o.role_oid = g.role_oid AND o.run <> g.run AND o.origin = g.origin
                      AND o.granted_in IS NOT NULL
                      AND (o.revoked_at IS NULL OR o.revoked_at > g.revoked_at));
            g.told := g.told || sym.mark(found.kind, what);
            run := g.run;
            username := g.username;
            rolename := g.rolename;
            kind := found.kind;
            RETURN NEXT;
        END LOOP;
        UPDATE sym.grants t SET told = g.told, open_then = nullif(remaining, '{}')
        WHERE t.run = g.run AND (cardinality(remaining) < cardinality(g.open_then)
            OR t.told IS DISTINCT FROM g.told);
    END LOOP;
END
$$;

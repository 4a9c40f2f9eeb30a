-- Transactions of other users at work on tables that the role has rights to and their own users
-- do not: they are inside a routine of the role's, or read through a view of the role's, which
-- its holder may have made and dropped again. A lock on a table shows them, since it is kept
-- until the transaction is over. Access that a view, a foreign key or a SECURITY DEFINER routine
-- of another owner can explain is not listed. Preparing a query takes such a lock, too, and needs
-- no right.
CREATE OR REPLACE FUNCTION sym.in_use(role oid)
RETURNS TABLE (transaction text, what text, undo text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    -- The rights by which a user can be at work on a table, besides those to its columns.
    working text := 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER'
        || CASE WHEN current_setting('server_version_num')::int >= 170000 THEN ', MAINTAIN'
            ELSE '' END;
    here    oid := (SELECT a.datid FROM pg_stat_get_activity(pg_backend_pid()) a);
    trusted oid[];
    led     oid[];
BEGIN
    IF NOT EXISTS (SELECT FROM pg_lock_status() l
        WHERE l.locktype = 'relation' AND l.granted AND l.database = here AND l.relation >= 16384
          AND l.pid IS DISTINCT FROM pg_backend_pid()) THEN
        RETURN;
    END IF;
    trusted := ARRAY(
        SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'sym'
        UNION
        SELECT unnest(p.polroles) FROM pg_policy p
        WHERE p.polrelid = 'sym.grants'::regclass AND p.polname = 'broker');
    WITH RECURSIVE reached (oid) AS (
        SELECT role
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT array_agg(r.oid) INTO led FROM reached r;
    RETURN QUERY
    WITH busy AS (
        SELECT DISTINCT coalesce('prepared ' || x.transactionid, l.virtualtransaction) AS transaction,
            l.pid, coalesce(a.usesysid, o.oid) AS whose, p.gid,
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
    SELECT b.transaction, format('%s has a lock on %s, to which "%s" has no right',
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
        has_table_privilege(x.oid, c.oid, working)
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
    GROUP BY b.transaction, b.pid, b.gid, u.rolname;
END
$$;

-- The open transactions of everybody except administrators and the function. A prepared
-- transaction is called by its number, since its virtual one changes when the server restarts. It
-- had its virtual number before it was prepared.
CREATE OR REPLACE FUNCTION sym.open_now() RETURNS TABLE (transaction text, before text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT CASE WHEN l.pid IS NULL THEN 'prepared ' || l.transactionid
        ELSE l.virtualtransaction END, l.virtualtransaction
    FROM pg_locks l
    LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
    LEFT JOIN pg_roles u ON u.oid = a.usesysid
    WHERE l.granted AND l.mode = 'ExclusiveLock' AND CASE WHEN l.pid IS NULL
        THEN l.locktype = 'transactionid'
        ELSE l.locktype = 'virtualxid' AND a.usesysid IS NOT NULL
            AND u.rolsuper IS NOT TRUE AND u.rolname IS DISTINCT FROM current_user
            AND u.oid IS DISTINCT FROM (SELECT n.nspowner FROM pg_namespace n
                WHERE n.nspname = 'sym') END;
END
$$;

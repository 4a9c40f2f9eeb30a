-- Transactions of other users that have locks on tables which the role may read or change and their
-- own users may not: they are inside a routine of the role's, or read through a view of the role's,
-- which its holder may have made and dropped again. A lock stays until the transaction is over,
-- or the subtransaction that took it is rolled back. Access that a view, a foreign key or a
-- SECURITY DEFINER routine of another owner can explain is not listed. Preparing a query takes
-- such a lock, too, and needs no right.
CREATE OR REPLACE FUNCTION sym.in_use(role oid)
RETURNS TABLE (transaction text, what text, undo text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
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
            coalesce(pg_partition_root(l.relation)::oid, l.relation) AS relation,
            l.mode IN ('AccessShareLock', 'RowShareLock') AS reading
        FROM pg_locks l
        LEFT JOIN pg_stat_get_activity(NULL) a ON a.pid = l.pid
        LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
            AND x.virtualtransaction = l.virtualtransaction
        LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
        LEFT JOIN pg_roles o ON o.rolname = p.owner
        WHERE l.locktype = 'relation' AND l.granted AND l.database = here AND l.relation >= 16384
          AND l.pid IS DISTINCT FROM pg_backend_pid()
    ), ours AS MATERIALIZED (
        -- Anybody can hold very many locks, so these checks come in the order of their cost.
        SELECT b.* FROM busy b JOIN pg_class c ON c.oid = b.relation
        WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND NOT c.relispartition
          AND c.relpersistence <> 't'
          AND EXISTS (SELECT FROM unnest(led) r WHERE CASE WHEN b.reading
            THEN has_any_column_privilege(r, c.oid, 'SELECT')
            ELSE has_table_privilege(r, c.oid, 'DELETE, TRUNCATE')
                OR has_any_column_privilege(r, c.oid, 'INSERT, UPDATE') END)
    ), no_right AS MATERIALIZED (
        SELECT o.*, u.rolname FROM ours o JOIN pg_roles u ON u.oid = o.whose
        WHERE NOT u.rolsuper AND u.oid <> ALL (trusted)
          AND NOT sym.may_work(u.oid, o.relation, o.reading)
    )
    SELECT b.transaction, format('%s has a lock on %s, which "%s" may not %s',
            CASE WHEN b.pid IS NULL THEN format('the prepared transaction %L of "%s"', b.gid, b.rolname)
                ELSE format('the session %s of "%s"', b.pid, b.rolname) END,
            min(b.relation::regclass::text), b.rolname,
            CASE WHEN b.reading THEN 'read' ELSE 'change' END),
        CASE WHEN b.pid IS NULL THEN format('ROLLBACK PREPARED %L', b.gid)
            ELSE format('SELECT pg_terminate_backend(%s)', b.pid) END
    FROM no_right b
    -- By any role that the user can set, inherited or not.
    WHERE NOT EXISTS (SELECT FROM pg_roles x WHERE pg_has_role(b.whose, x.oid, 'MEMBER')
        AND (sym.may_work(x.oid, b.relation, b.reading) OR x.oid = (
            SELECT d.datdba FROM pg_database d WHERE d.datname = current_database())))
      AND NOT sym.explained(b.relation, b.reading, led)
    GROUP BY b.transaction, b.pid, b.gid, b.rolname, b.reading;
END
$$;

-- Whether a role may read a table, or else change rows of it.
CREATE OR REPLACE FUNCTION sym.may_use(role oid, of_table oid, reading boolean) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF reading THEN
        RETURN has_any_column_privilege(role, of_table, 'SELECT');
    END IF;
    RETURN has_table_privilege(role, of_table, 'DELETE, TRUNCATE')
        OR has_any_column_privilege(role, of_table, 'INSERT, UPDATE');
END
$$;

-- The same, with the other rights that let somebody take such a lock.
CREATE OR REPLACE FUNCTION sym.may_work(role oid, of_table oid, reading boolean) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN sym.may_use(role, of_table, reading)
        OR NOT reading AND (has_table_privilege(role, of_table, 'TRIGGER')
            OR has_any_column_privilege(role, of_table, 'REFERENCES'))
        OR current_setting('server_version_num')::int >= 170000
            AND has_table_privilege(role, of_table, 'MAINTAIN');
END
$$;

-- Whether somebody without a right to a table can have a lock on it by ordinary work: through its
-- children or foreign keys, or a view or SECURITY DEFINER routine whose owner has the right.
CREATE OR REPLACE FUNCTION sym.explained(of_table oid, reading boolean, led oid[])
RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = of_table)
        OR EXISTS (SELECT FROM pg_constraint f
            WHERE f.contype = 'f' AND of_table IN (f.conrelid, f.confrelid))
        OR EXISTS (SELECT FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
            JOIN pg_class v ON v.oid = w.ev_class
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
              AND d.refobjid = of_table AND v.oid <> of_table AND v.relowner <> ALL (led)
              AND sym.may_use(v.relowner, of_table, reading))
        OR EXISTS (SELECT FROM pg_proc p WHERE p.prosecdef AND p.proowner <> ALL (led)
            AND p.pronamespace <> 'sym'::regnamespace
            AND sym.may_use(p.proowner, of_table, reading));
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

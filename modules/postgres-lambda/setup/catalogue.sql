-- Functions whose arguments or results have changed since an earlier version.
DO $$
DECLARE
    outdated regprocedure;
BEGIN
    FOR outdated IN SELECT oid FROM pg_proc WHERE pronamespace = 'sym'::regnamespace
            AND (proname LIKE 'left\_%' OR proname IN ('appeared', 'changed_privileges', 'in_use',
                'listed_later', 'look_again', 'mark', 'oldest_open', 'open_now', 'take_back')) LOOP
        EXECUTE format('DROP FUNCTION %s', outdated);
    END LOOP;
END
$$;

-- Whether a row of a catalogue was written within the last N transactions. A transaction that
-- began after ours has a small negative age. Very old, frozen rows have a large negative one,
-- since transaction numbers are cut to 32 bits. PostgreSQL inlines the function, and for most
-- rows evaluates only the first comparison.
CREATE OR REPLACE FUNCTION sym.young(of_row xid, within integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.age(of_row) OPERATOR(pg_catalog.<=) within
       AND pg_catalog.age(of_row) OPERATOR(pg_catalog.>=) -1000000
$$;

-- The whole number of a transaction. The catalogue cuts them to 32 bits.
CREATE OR REPLACE FUNCTION sym.whole(number xid) RETURNS xid8
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    next  bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
    whole bigint := next - next % 4294967296 + number::text::bigint;
BEGIN
    IF whole > next + 2147483648 THEN
        whole := whole - 4294967296;
    ELSIF whole < next - 2147483648 THEN
        whole := whole + 4294967296;
    END IF;
    RETURN CASE WHEN number IS NOT NULL THEN greatest(whole, 0)::text::xid8 END;
END
$$;

-- The youngest of these transaction numbers; some may be NULL.
CREATE OR REPLACE FUNCTION sym.youngest(VARIADIC numbers xid[]) RETURNS xid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT n FROM unnest(numbers) n WHERE n IS NOT NULL ORDER BY age(n) LIMIT 1);
END
$$;

-- The objects in this database that these roles own, and the transaction that last wrote each
-- row. The types of tables and arrays are left out: they belong to their table or element type.
CREATE OR REPLACE FUNCTION sym.owned_by(owners oid[])
RETURNS TABLE (classid oid, objid oid, owner oid, written xid)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF owners = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT o.class::oid, o.oid, o.owner, o.xmin FROM (
        SELECT 'pg_proc'::regclass AS class, oid, proowner AS owner, xmin FROM pg_proc
        UNION ALL SELECT 'pg_class'::regclass, oid, relowner, xmin FROM pg_class
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typowner, t.xmin FROM pg_type t
            WHERE t.typcategory <> 'A' AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c
                WHERE c.oid = t.typrelid AND c.relkind = 'c'))
        UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner, xmin FROM pg_namespace
        UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner, xmin FROM pg_operator
        UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner, xmin FROM pg_opclass
        UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner, xmin FROM pg_opfamily
        UNION ALL SELECT 'pg_conversion'::regclass, oid, conowner, xmin FROM pg_conversion
        UNION ALL SELECT 'pg_collation'::regclass, oid, collowner, xmin FROM pg_collation
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner, xmin FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner, xmin FROM pg_ts_dict
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner, xmin FROM pg_statistic_ext
        UNION ALL SELECT 'pg_largeobject'::regclass, oid, lomowner, xmin
            FROM pg_largeobject_metadata
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid, srvowner, xmin FROM pg_foreign_server
        UNION ALL SELECT 'pg_publication'::regclass, oid, pubowner, xmin FROM pg_publication
        UNION ALL SELECT 'pg_extension'::regclass, oid, extowner, xmin FROM pg_extension
        UNION ALL SELECT 'pg_language'::regclass, oid, lanowner, xmin FROM pg_language
        UNION ALL SELECT 'pg_database'::regclass, oid, datdba, xmin FROM pg_database
    ) AS o WHERE o.owner = ANY (owners);
END
$$;

-- The age, in transactions, of a given transaction. It is capped, since the catalogue cuts
-- transaction numbers to 32 bits.
CREATE OR REPLACE FUNCTION sym.age_since(since xid8) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_snapshot_xmax(pg_current_snapshot())::text::bigint - since::text::bigint
        > 2147483646 THEN
        RETURN 2147483646;
    END IF;
    RETURN age(since::xid);
END
$$;

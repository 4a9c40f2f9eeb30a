-- New objects of theirs, in this database or server-wide; functions and views that act with the
-- role's rights come first. A new function of the role's is taken back by making it SECURITY
-- INVOKER.
CREATE OR REPLACE FUNCTION sym.left_owned(
    holder oid, role oid, led oid[], theirs oid[], own_too oid[], pinned oid[],
    listed integer, sure integer
) RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    version int := current_setting('server_version_num')::int;
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    RETURN QUERY
    SELECT 'owned', format(CASE
            WHEN o.by_role AND o.definer THEN '%s %s runs with the rights of "%s"'
            WHEN o.by_role AND o.reads_as_owner THEN '%s %s reads with the rights of "%s"'
            WHEN o.was_there THEN '%s %s was given to "%s"'
            ELSE '%s %s belongs to "%s"' END, i.type, i.identity, pg_get_userbyid(o.owner)),
        CASE
        WHEN o.by_role AND o.definer THEN
            format('ALTER ROUTINE %s SECURITY INVOKER', i.identity)
        WHEN o.by_role AND o.reads_as_owner AND version >= 150000 THEN
            format('ALTER VIEW %s SET (security_invoker = true)', i.identity)
        WHEN o.was_there AND NOT o.by_role AND led = ARRAY[role] AND own_too = '{}'
            THEN format('ALTER %s %s OWNER TO %I', upper(i.type), i.identity,
                pg_get_userbyid(role)) END,
        o.by_role AND NOT o.was_there AND o.sure AND i.schema IS DISTINCT FROM 'sym', o.written
    FROM (
        SELECT d.classid, d.objid, d.owner, d.owner <> holder AS by_role,
            sym.young(d.written, sure) AS sure, sym.youngest(d.written, p.xmin,
                CASE c.relkind WHEN 'v' THEN c.xmin END) AS written, coalesce(p.prosecdef, false) AS definer,
            coalesce(c.relkind = 'v' AND NOT EXISTS (
                SELECT FROM pg_options_to_table(c.reloptions) v
                WHERE v.option_name = 'security_invoker' AND v.option_value::boolean),
                false) AS reads_as_owner,
            EXISTS (SELECT FROM pg_depend n
                WHERE n.classid = d.classid AND n.objid = d.objid AND n.objsubid = 0
                  AND n.refclassid = 'pg_namespace'::regclass
                  AND NOT sym.young(n.xmin, listed)) AS was_there
        FROM (
            SELECT d.classid, d.objid, d.refobjid AS owner, d.xmin AS written
            FROM pg_shdepend d
            WHERE d.refclassid = 'pg_authid'::regclass
              AND d.refobjid = ANY (theirs || own_too)
              AND d.deptype = 'o' AND d.dbid IN (here, 0)
            UNION ALL
            SELECT b.* FROM sym.owned_by(pinned) b
        ) AS d
        LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        WHERE sym.young(d.written, listed)
          AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_auth_members'::regclass)
          AND (c.relpersistence IS DISTINCT FROM 't' OR c.relkind = 'v')
    ) AS o, LATERAL pg_identify_object(o.classid, o.objid, 0) i
    -- For the user's other roles list only what they were given: anybody may have made the rest.
    WHERE i.identity IS NOT NULL
      -- Temporary objects end with their session, which need not be the holder's.
      AND (starts_with(i.schema, 'pg_temp_') IS NOT TRUE
        OR o.by_role AND (o.definer OR o.reads_as_owner))
      AND (o.owner = ANY (theirs) OR o.was_there)
    ORDER BY NOT (o.by_role AND (o.definer OR o.reads_as_owner)), NOT o.by_role, i.type, i.identity;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- New rules. A rule acts with the rights of the owner of its table or view.
CREATE OR REPLACE FUNCTION sym.left_rules(holder oid, theirs oid[], listed integer, sure integer)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    RETURN QUERY
    SELECT 'attached', format('the rule %s acts with the rights of "%s"', i.identity,
            pg_get_userbyid(c.relowner)),
        -- A rule on a view cannot be disabled.
        format(CASE c.relkind WHEN 'v' THEN 'DROP RULE %2$I ON %1$s'
            ELSE 'ALTER TABLE %1$s DISABLE RULE %2$I' END, r.identity, w.rulename),
        sym.young(w.xmin, sure) AND c.relowner <> holder AND c.relkind <> 'v', w.xmin
    FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class,
        LATERAL pg_identify_object('pg_rewrite'::regclass, w.oid, 0) i,
        LATERAL pg_identify_object('pg_class'::regclass, c.oid, 0) r
    WHERE w.rulename <> '_RETURN' AND w.ev_enabled <> 'D' AND sym.young(w.xmin, listed)
      AND c.relowner = ANY (theirs) AND i.identity IS NOT NULL
      -- sym.left_attached lists the rules on older tables and views.
      AND NOT EXISTS (SELECT FROM pg_shdepend s
        WHERE s.classid = 'pg_class'::regclass AND s.objid = c.oid AND s.deptype = 'o'
          AND s.dbid = here AND NOT sym.young(s.xmin, listed));
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

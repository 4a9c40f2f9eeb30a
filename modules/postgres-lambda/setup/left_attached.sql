-- Triggers on their tables; triggers that run their functions; and, on tables where the role
-- has TRIGGER, triggers that run a function that does not belong to the table's owner.
CREATE OR REPLACE FUNCTION sym.left_triggers(
    holder oid, led oid[], theirs oid[], own_too oid[], listed integer, sure integer
) RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'trigger', format('the trigger %I on %s runs %s of "%s"', t.tgname,
            i.identity, f.identity, pg_get_userbyid(p.proowner)),
        format('ALTER TABLE %s DISABLE TRIGGER %I', i.identity, t.tgname),
        p.proowner = ANY (theirs) AND sym.young(t.xmin, sure) AND i.schema <> 'sym'
            AND c.relkind IN ('r', 'p') AND c.relowner <> holder
            AND EXISTS (SELECT FROM unnest(led) r
                WHERE has_table_privilege(r, c.oid, 'TRIGGER'))
            AND has_table_privilege(holder, c.oid, 'TRIGGER') IS FALSE,
        t.xmin
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid,
        LATERAL pg_identify_object('pg_class'::regclass, t.tgrelid, 0) i,
        LATERAL pg_identify_object('pg_proc'::regclass, t.tgfoid, 0) f
    WHERE sym.young(t.xmin, listed) AND NOT t.tgisinternal
      AND t.tgenabled <> 'D' AND c.relpersistence <> 't'
      AND (c.relowner = ANY (theirs) OR p.proowner = ANY (theirs || own_too)
        OR p.proowner <> c.relowner
            AND EXISTS (SELECT FROM unnest(led) r
                WHERE has_table_privilege(r, c.oid, 'TRIGGER'))
            AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = p.proowner AND r.rolsuper))
    -- Those on other people's tables first.
    ORDER BY c.relowner = holder, i.identity, t.tgname;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- New policies, foreign keys, rules and the like on tables of others and on older objects of
-- theirs.
CREATE OR REPLACE FUNCTION sym.left_attached(
    holder oid, led oid[], theirs oid[], listed integer, owning boolean
) RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    RETURN QUERY
    SELECT 'attached', format('the policy %s, for "%s"', i.identity, pg_get_userbyid(holder)),
        CASE WHEN p.polpermissive THEN format('DROP POLICY %I ON %s', p.polname,
            r.identity) END, false, p.xmin
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid,
        LATERAL pg_identify_object('pg_policy'::regclass, p.oid, 0) i,
        LATERAL pg_identify_object('pg_class'::regclass, p.polrelid, 0) r
    WHERE sym.young(p.xmin, listed) AND holder = ANY (p.polroles)
      AND c.relowner <> ALL (theirs);
    -- PostgreSQL checks REFERENCES when a foreign key is made, and never again.
    RETURN QUERY
    SELECT 'attached', format('the foreign key %s refers to %s: it tells which keys there are',
            i.identity, k.oid::regclass),
        format('ALTER TABLE %s DROP CONSTRAINT %I', r.identity, f.conname), false, f.xmin
    FROM (SELECT f.oid, f.xmin, f.conname, f.conrelid, f.confrelid FROM pg_constraint f
        WHERE f.contype = 'f' AND f.conparentid = 0 AND sym.young(f.xmin, listed)
        OFFSET 0) AS f
    JOIN pg_class t ON t.oid = f.conrelid JOIN pg_class k ON k.oid = f.confrelid,
        LATERAL pg_identify_object('pg_constraint'::regclass, f.oid, 0) i,
        LATERAL pg_identify_object('pg_class'::regclass, t.oid, 0) r
    WHERE t.relowner <> k.relowner
      AND EXISTS (SELECT FROM unnest(led) r
        WHERE has_any_column_privilege(r, k.oid, 'REFERENCES'))
      AND (t.relowner = ANY (led) OR NOT has_any_column_privilege(t.relowner, k.oid, 'REFERENCES'))
      AND i.identity IS NOT NULL;
    IF NOT owning THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT 'changed', format('row-level security is off for the table %s, which has policies',
            i.identity), format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', i.identity), false,
        c.xmin
    FROM pg_class c, LATERAL pg_identify_object('pg_class'::regclass, c.oid, 0) i
    WHERE sym.young(c.xmin, listed) AND c.relowner = ANY (theirs)
      AND NOT c.relrowsecurity AND c.relkind IN ('r', 'p')
      AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid);
    -- On older objects of theirs: rules, policies, defaults, check constraints, indexes on
    -- expressions, casts, user mappings, tables of publications. Some may have been there
    -- before and only changed.
    RETURN QUERY
    SELECT DISTINCT 'attached', format('the %s %s, on something of "%s"', i.type,
            i.identity, pg_get_userbyid(o.refobjid)),
        CASE WHEN w.oid IS NOT NULL THEN (SELECT format('ALTER TABLE %s DISABLE RULE %I',
                r.identity, w.rulename)
                FROM pg_identify_object('pg_class'::regclass, w.ev_class, 0) r)
            WHEN p.polpermissive THEN (SELECT format('DROP POLICY %I ON %s', p.polname,
                r.identity) FROM pg_identify_object('pg_class'::regclass, p.polrelid, 0) r) END,
        false, sym.youngest(d.xmin, w.xmin, p.xmin, c.xmin)
    FROM pg_shdepend o
    JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
    LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
    LEFT JOIN pg_index x ON d.classid = 'pg_class'::regclass AND x.indexrelid = d.objid,
        LATERAL pg_identify_object(d.classid, d.objid, 0) i
    WHERE o.refclassid = 'pg_authid'::regclass AND o.refobjid = ANY (theirs)
      AND o.deptype = 'o' AND o.dbid = here
      AND (sym.young(d.xmin, listed) OR sym.young(w.xmin, listed) OR sym.young(p.xmin, listed)
        OR sym.young(c.xmin, listed)) AND NOT sym.young(o.xmin, listed)
      AND (d.classid IN ('pg_policy'::regclass, 'pg_attrdef'::regclass, 'pg_cast'::regclass,
                'pg_transform'::regclass, 'pg_user_mapping'::regclass)
            OR w.rulename <> '_RETURN' AND w.ev_class = o.objid OR c.contype = 'c'
            OR x.indexprs IS NOT NULL OR x.indpred IS NOT NULL
            OR o.classid = 'pg_publication'::regclass)
      AND i.identity IS NOT NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Functions, views and foreign servers that were theirs before and may have a new definition.
CREATE OR REPLACE FUNCTION sym.left_changed(theirs oid[], listed integer)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    RETURN QUERY
    SELECT 'changed', format('the %s %s of "%s", or a privilege on it, was changed', i.type,
        i.identity, pg_get_userbyid(d.refobjid)), NULL, false,
        sym.youngest(p.xmin, w.xmin, c.xmin, s.xmin)
    FROM pg_shdepend d
    LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        AND c.relkind IN ('v', 'm')
    LEFT JOIN pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN'
    LEFT JOIN pg_foreign_server s ON d.classid = 'pg_foreign_server'::regclass AND s.oid = d.objid,
        LATERAL pg_identify_object(d.classid, d.objid, 0) i
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (theirs)
      AND d.deptype = 'o' AND d.dbid = here AND NOT sym.young(d.xmin, listed)
      AND (sym.young(p.xmin, listed) OR sym.young(w.xmin, listed) OR sym.young(s.xmin, listed)
        OR c.relkind = 'v' AND sym.young(c.xmin, listed))
      AND i.identity IS NOT NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

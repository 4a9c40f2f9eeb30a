-- Whether any privilege may have changed. Usually none has, and this check is fast.
CREATE OR REPLACE FUNCTION sym.privileges_changed(listed integer) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    -- OFFSET makes the planner check the row's age before it reads the rest of the row.
    RETURN EXISTS (SELECT FROM (SELECT c.relacl FROM pg_class c
            WHERE sym.young(c.xmin, listed) OFFSET 0) AS c WHERE c.relacl IS NOT NULL)
        OR EXISTS (SELECT FROM (SELECT p.proacl FROM pg_proc p
            WHERE sym.young(p.xmin, listed) OFFSET 0) AS p WHERE p.proacl IS NOT NULL)
        OR EXISTS (SELECT FROM pg_namespace n WHERE sym.young(n.xmin, listed))
        OR EXISTS (SELECT FROM pg_database d WHERE sym.young(d.xmin, listed))
        OR EXISTS (SELECT FROM pg_tablespace s WHERE sym.young(s.xmin, listed))
        OR EXISTS (SELECT FROM pg_language l WHERE sym.young(l.xmin, listed))
        OR EXISTS (SELECT FROM pg_foreign_data_wrapper w WHERE sym.young(w.xmin, listed))
        OR EXISTS (SELECT FROM pg_foreign_server s WHERE sym.young(s.xmin, listed));
END
$$;

-- The access control lists that changed. There can be very many columns, types and large objects,
-- so these are read only if pg_shdepend says that a role of theirs is involved.
CREATE OR REPLACE FUNCTION sym.changed_privileges(
    listed integer, relations oid[], large_objects oid[], types boolean
) RETURNS TABLE (classid oid, objid oid, objsubid integer, owner oid, acl aclitem[], type "char",
    words text, dbid oid, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    RETURN QUERY
    SELECT 'pg_class'::regclass::oid, c.oid, 0, c.relowner, c.relacl,
        CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
        CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, here, c.xmin
    FROM pg_class c WHERE sym.young(c.xmin, listed)
      AND c.relacl IS NOT NULL AND c.relpersistence <> 't'
    UNION ALL
    SELECT 'pg_class'::regclass, a.attrelid, a.attnum, c.relowner, a.attacl, 'c', 'TABLE',
        here, a.xmin
    FROM unnest(relations) d (objid)
    JOIN pg_attribute a ON a.attrelid = d.objid JOIN pg_class c ON c.oid = d.objid
    WHERE sym.young(a.xmin, listed) AND a.attacl IS NOT NULL
      AND NOT a.attisdropped AND c.relpersistence <> 't'
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, 0, p.proowner, p.proacl, 'f', 'ROUTINE', here,
        p.xmin
    FROM pg_proc p WHERE sym.young(p.xmin, listed) AND p.proacl IS NOT NULL
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, 0, t.typowner, t.typacl, 'T', 'TYPE', here, t.xmin
    FROM pg_type t WHERE types AND sym.young(t.xmin, listed)
      AND t.typacl IS NOT NULL
    UNION ALL
    SELECT 'pg_largeobject'::regclass, l.oid, 0, l.lomowner, l.lomacl, 'L',
        'LARGE OBJECT', here, l.xmin
    FROM unnest(large_objects) d (objid)
    JOIN pg_largeobject_metadata l ON l.oid = d.objid
    WHERE sym.young(l.xmin, listed) AND l.lomacl IS NOT NULL
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspowner, n.nspacl, 'n', 'SCHEMA', here,
        n.xmin
    FROM pg_namespace n WHERE sym.young(n.xmin, listed)
    UNION ALL
    SELECT 'pg_database'::regclass, d.oid, 0, d.datdba, d.datacl, 'd', 'DATABASE', 0,
        d.xmin
    FROM pg_database d WHERE sym.young(d.xmin, listed)
    UNION ALL
    SELECT 'pg_tablespace'::regclass, s.oid, 0, s.spcowner, s.spcacl, 't', 'TABLESPACE', 0,
        s.xmin
    FROM pg_tablespace s WHERE sym.young(s.xmin, listed)
    UNION ALL
    SELECT 'pg_language'::regclass, l.oid, 0, l.lanowner, l.lanacl, 'l', 'LANGUAGE', here,
        l.xmin
    FROM pg_language l WHERE sym.young(l.xmin, listed)
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, w.fdwowner, w.fdwacl, 'F',
        'FOREIGN DATA WRAPPER', here, w.xmin
    FROM pg_foreign_data_wrapper w WHERE sym.young(w.xmin, listed)
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, s.oid, 0, s.srvowner, s.srvacl, 'S',
        'FOREIGN SERVER', here, s.xmin
    FROM pg_foreign_server s WHERE sym.young(s.xmin, listed);
END
$$;

-- Privileges that they granted, and those that the user was granted.
CREATE OR REPLACE FUNCTION sym.left_privileges(
    holder oid, led oid[], theirs oid[], listed integer, sure integer,
    relations oid[], large_objects oid[], types boolean
) RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    runner oid := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'sym');
BEGIN
    IF relations = '{}' AND large_objects = '{}' AND NOT types
        AND NOT sym.privileges_changed(listed) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH entries AS MATERIALIZED (
        SELECT c.*, a.grantor, a.grantee, a.privilege_type AS privilege, a.is_grantable,
            -- The object is new, or its grantee has only now got privileges on it.
            EXISTS (SELECT FROM pg_shdepend s
                WHERE s.dbid = c.dbid AND s.classid = c.classid AND s.objid = c.objid
                  AND (s.objsubid = c.objsubid AND s.deptype = 'a' AND s.refobjid = a.grantee
                    OR s.objsubid = 0 AND s.deptype = 'o' AND NOT EXISTS (
                        SELECT FROM pg_depend n WHERE n.classid = c.classid
                        AND n.objid = c.objid AND n.refclassid = 'pg_namespace'::regclass
                        AND NOT sym.young(n.xmin, listed)))
                  AND s.refclassid = 'pg_authid'::regclass
                  AND sym.young(s.xmin, sure)) AS anew
        FROM sym.changed_privileges(listed, relations, large_objects, types) c,
            aclexplode(c.acl) a
    ), given AS (
        SELECT e.classid, e.objid, e.objsubid, e.owner, e.words, e.grantor, e.grantee,
            (array_agg(e.written))[1] AS written,
            string_agg(e.privilege || coalesce(' (' || quote_ident(a.attname) || ')', ''), ', '
                ORDER BY e.privilege) AS in_words,
            bool_and(e.grantor = ANY (led)
                AND (e.anew OR e.grantee = holder)) AS anew,
            -- A privilege that was granted by a grant option is taken back by revoking that
            -- option in the owner's name, which revokes everything granted by it.
            bool_and(e.grantor = e.owner OR pg_has_role(runner, e.owner, 'USAGE')
                AND EXISTS (SELECT FROM entries f WHERE (f.classid, f.objid, f.objsubid,
                    f.privilege, f.grantee) = (e.classid, e.objid, e.objsubid,
                    e.privilege, e.grantor) AND f.grantor = e.owner AND f.is_grantable)
                AND NOT EXISTS (SELECT FROM entries f WHERE (f.classid, f.objid, f.objsubid,
                    f.privilege, f.grantor) = (e.classid, e.objid, e.objsubid,
                    e.privilege, e.grantor) AND NOT (f.anew OR f.grantee = holder)))
                AS alone
        FROM entries e LEFT JOIN pg_attribute a ON e.objsubid > 0 AND a.attrelid = e.objid
            AND a.attnum = e.objsubid
        WHERE e.grantee NOT IN (e.grantor, e.owner)
          AND (e.grantor = ANY (theirs) OR e.grantee = holder)
          AND NOT (e.anew AND e.grantee = 0 AND EXISTS (
            SELECT FROM aclexplode(acldefault(e.type, e.owner)) d
            WHERE d.grantee = 0 AND d.privilege_type = e.privilege))
        GROUP BY e.classid, e.objid, e.objsubid, e.owner, e.words, e.grantor, e.grantee,
            a.attname
    )
    SELECT 'privilege', format('%s on the %s %s for %s, by "%s"', g.in_words,
            lower(g.words), i.identity, w.whom, pg_get_userbyid(g.grantor)),
        CASE WHEN g.grantor = g.owner THEN format('REVOKE %s ON %s %s FROM %s CASCADE',
                g.in_words, g.words, i.identity, w.grantee)
            WHEN g.alone THEN format('REVOKE GRANT OPTION FOR %1$s ON %2$s %3$s FROM %4$I '
                'CASCADE; GRANT %1$s ON %2$s %3$s TO %4$I WITH GRANT OPTION', g.in_words,
                g.words, i.identity, pg_get_userbyid(g.grantor)) END,
        g.anew AND g.alone AND i.schema IS DISTINCT FROM 'sym' AND i.identity <> 'sym', g.written
    FROM given g, LATERAL pg_identify_object(g.classid, g.objid, 0) i,
        LATERAL (SELECT CASE g.grantee WHEN 0 THEN 'everybody'
                ELSE format('"%s"', pg_get_userbyid(g.grantee)) END,
            CASE g.grantee WHEN 0 THEN 'PUBLIC'
                ELSE quote_ident(pg_get_userbyid(g.grantee)) END) AS w (whom, grantee)
    WHERE i.identity IS NOT NULL
    ORDER BY g.grantor <> ALL (led), g.grantee NOT IN (0, holder), i.identity;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Default privileges that they set, or that favour the user.
CREATE OR REPLACE FUNCTION sym.left_default_privileges(
    holder oid, led oid[], theirs oid[], listed integer, sure integer
) RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    RETURN QUERY
    WITH entries AS (
        SELECT d.oid, d.owner, d.space, d.words, a.grantee, (array_agg(d.written))[1] AS written,
            string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges,
            EXISTS (SELECT FROM pg_shdepend s
                WHERE s.dbid = here AND s.classid = 'pg_default_acl'::regclass
                  AND s.objid = d.oid AND s.refclassid = 'pg_authid'::regclass
                  AND (s.deptype = 'o' OR s.refobjid = a.grantee)
                  AND sym.young(s.xmin, sure)) AS anew
        FROM (
            SELECT d.oid, d.xmin AS written, d.defaclrole AS owner, d.defaclnamespace AS space,
                d.defaclacl AS acl, d.defaclobjtype AS type, CASE d.defaclobjtype WHEN 'r' THEN 'TABLES'
                    WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES'
                    WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END AS words
            FROM pg_default_acl d WHERE sym.young(d.xmin, listed)
        ) AS d, aclexplode(d.acl) a
        WHERE a.grantee <> d.owner AND (d.owner = ANY (theirs) OR a.grantee = holder)
          AND NOT (d.space = 0 AND EXISTS (
            SELECT FROM aclexplode(acldefault(lower(d.type::text)::"char", d.owner)) e
            WHERE d.type IN ('f', 'T') AND e.grantee = a.grantee))
        GROUP BY d.oid, d.owner, d.space, d.words, a.grantee
    )
    SELECT 'default_privilege', format('%s on all %s that "%s" will make%s, for %s',
            e.privileges, lower(e.words), pg_get_userbyid(e.owner),
            coalesce(' in the schema ' || quote_ident(n.nspname), ''),
            CASE e.grantee WHEN 0 THEN 'everybody'
                ELSE format('"%s"', pg_get_userbyid(e.grantee)) END),
        format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON %s FROM %s',
            pg_get_userbyid(e.owner), coalesce(' IN SCHEMA ' || quote_ident(n.nspname), ''),
            e.privileges, e.words, CASE e.grantee WHEN 0 THEN 'PUBLIC'
                ELSE quote_ident(pg_get_userbyid(e.grantee)) END),
        e.anew AND e.owner = ANY (led) AND n.nspname IS DISTINCT FROM 'sym', e.written
    FROM entries e LEFT JOIN pg_namespace n ON n.oid = e.space;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Privileges on the settings of the server.
CREATE OR REPLACE FUNCTION sym.left_parameters(holder oid, theirs oid[], listed integer)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN
        RETURN QUERY
        SELECT 'privilege', format('%s on the setting %s for %s, by "%s"', a.privilege_type,
                p.parname, w.whom, pg_get_userbyid(a.grantor)),
            format('REVOKE %s ON PARAMETER %s FROM %s CASCADE', a.privilege_type,
                quote_ident(p.parname), w.grantee), false, p.xmin
        FROM pg_parameter_acl p, aclexplode(p.paracl) a,
            LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'everybody'
                    ELSE format('"%s"', pg_get_userbyid(a.grantee)) END,
                CASE a.grantee WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS w (whom, grantee)
        WHERE sym.young(p.xmin, listed) AND a.grantee <> a.grantor
          AND (a.grantor = ANY (theirs) OR a.grantee = holder);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

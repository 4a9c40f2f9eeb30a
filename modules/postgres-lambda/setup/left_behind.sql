DROP FUNCTION IF EXISTS sym.oldest_open(oid);

-- Whether a row of a catalogue was written by one of the last so many transactions. One that
-- began after this transaction looked at the clock has a negative age; rows that are very
-- old, and frozen, have one far below that, since numbers are cut to 32 bits. It is inlined:
-- the first comparison is the only one that most rows meet.
CREATE OR REPLACE FUNCTION sym.young(of_row xid, within integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.age(of_row) OPERATOR(pg_catalog.<=) within
       AND pg_catalog.age(of_row) OPERATOR(pg_catalog.>=) -1000000
$$;

-- What belongs to roles in this database, and who wrote the row last. Types of tables and of
-- arrays go with these.
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

-- What the holder of a role made, or was given, since a transaction, and that stays when the
-- role is gone; with the statement that takes it back, NULL where a person has to find it, and
-- whether that statement may be run without asking. It reads catalogues and nothing else, with
-- the caller's rights, and waits for nobody.
--
-- A row of a catalogue is as old as the transaction that wrote it last (xmin). One that was
-- open when the role was granted can be used for it as well, also one of somebody else's, who
-- calls a function that the holder made; and it has a number from before. What is not older
-- than the oldest of these is listed, and only what is not older than the grant is safe to take
-- back.
--
-- Theirs are the user, the role, and the roles that it leads to. pg_shdepend has what they
-- own, in every database, and whose privileges they are in; the rows of the objects have what
-- changed. Of predefined roles pg_shdepend knows nothing, although their members can own things
-- as them: what they own is found by the owners in the catalogues.
CREATE OR REPLACE FUNCTION sym.left_behind(
    holder oid, role oid, since xid8, oldest xid8 DEFAULT NULL
) RETURNS TABLE (kind text, what text, undo text, safe boolean)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
-- Most parts find nothing, and planning them anew each time would cost more than running them.
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    version int := current_setting('server_version_num')::int;
    here    oid;
    us      oid;
    runner  oid;
    led     oid[];
    theirs  oid[];
    own_too oid[];
    -- How old, in transactions, what is listed is at most, and what is safe to take back.
    listed  int := age(coalesce(least(oldest, since), since)::xid);
    sure    int := age(since::xid);
    pinned  oid[];
    jobs    oid;
    named   record;
BEGIN
    SELECT d.oid INTO here FROM pg_database d WHERE d.datname = current_database();
    SELECT p.polroles[1] INTO us FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'sym' AND c.relname = 'grants' AND p.polname = 'broker';
    SELECT n.nspowner INTO runner FROM pg_namespace n WHERE n.nspname = 'sym';

    -- Administrators are not whom the role leads to.
    WITH RECURSIVE reached (oid) AS (
        SELECT role
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT array_agg(r.oid) INTO led FROM reached r LEFT JOIN pg_roles p ON p.oid = r.oid
    WHERE p.rolsuper IS NOT TRUE AND r.oid NOT IN (runner, us, holder);
    led := coalesce(led, '{}');
    theirs := led || holder;
    WITH RECURSIVE reached (oid) AS (
        SELECT holder
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT array_agg(r.oid) INTO own_too FROM reached r
    WHERE r.oid <> ALL (theirs);
    own_too := coalesce(own_too, '{}');
    pinned := ARRAY(SELECT r FROM unnest(theirs || own_too) r WHERE r < 16384);

    -- Numbers of transactions are cut to 32 bits in the catalogue.
    IF pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        - coalesce(least(oldest, since), since)::text::bigint > 2147483646 THEN
        listed := 2147483646;
    END IF;
    IF pg_snapshot_xmax(pg_current_snapshot())::text::bigint - since::text::bigint
        > 2147483646 THEN
        sure := 2147483646;
    END IF;

    -- What is worth a look. A role may have privileges on very many objects: they are gone
    -- through once.
    SELECT coalesce(bool_or(d.deptype = 'o' AND d.dbid IN (here, 0)
            AND sym.young(d.xmin, listed)), false) AS anew,
        coalesce(bool_or(d.deptype = 'o' AND d.refobjid = ANY (theirs)), false) AS owning,
        coalesce(bool_or(d.dbid NOT IN (here, 0)), false) AS elsewhere,
        coalesce(bool_or(d.classid = 'pg_type'::regclass), false) AS types,
        coalesce(array_agg(DISTINCT d.objid) FILTER (WHERE d.classid = 'pg_largeobject'::regclass
            AND d.dbid = here), '{}') AS large_objects,
        coalesce(array_agg(DISTINCT d.objid) FILTER (WHERE d.classid = 'pg_class'::regclass
            AND d.dbid = here), '{}') AS relations
    INTO named FROM pg_shdepend d
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (theirs || own_too)
      AND (d.deptype = 'o' OR d.objsubid <> 0 OR d.classid IN (
            'pg_type'::regclass, 'pg_largeobject'::regclass) OR sym.young(d.xmin, listed));

    IF pinned <> '{}' THEN
        named.anew := named.anew OR EXISTS (SELECT FROM sym.owned_by(pinned) o
            WHERE sym.young(o.written, listed));
    END IF;

    FOR part IN 1..13 LOOP
    -- What one part cannot see, such as an object that is dropped at this moment, is said, and
    -- the others go on.
    BEGIN
    CASE part
    WHEN 1 THEN
        -- Memberships. The broker's are in the ledger.
        RETURN QUERY
        SELECT 'membership', format('"%s" was made a member of "%s", by "%s"',
                pg_get_userbyid(m.member), pg_get_userbyid(m.roleid), pg_get_userbyid(m.grantor)),
            format(CASE WHEN version >= 160000 THEN 'REVOKE %I FROM %I GRANTED BY %I CASCADE'
                ELSE 'REVOKE %I FROM %I CASCADE' END, pg_get_userbyid(m.roleid),
                pg_get_userbyid(m.member), pg_get_userbyid(m.grantor)),
            -- Up to version 15 the option may have been added to a membership from before.
            (m.grantor = ANY (led) OR m.grantor = holder AND m.roleid = holder)
                AND (version >= 160000 OR NOT m.admin_option) AND sym.young(m.xmin, sure)
        FROM pg_auth_members m
        WHERE sym.young(m.xmin, listed) AND m.grantor IS DISTINCT FROM us
          AND (m.member = holder OR m.roleid = holder OR m.grantor = ANY (theirs));
    WHEN 2 THEN
        -- They change the database when somebody commits them.
        RETURN QUERY
        SELECT 'prepared_transaction', format('the prepared transaction %L of "%s" in the '
                'database "%s"', p.gid, p.owner, p.database),
            format('ROLLBACK PREPARED %L', p.gid), false
        FROM pg_prepared_xacts p JOIN pg_roles r ON r.rolname = p.owner
        WHERE r.oid = ANY (theirs || own_too) AND sym.young(p.transaction, listed);
    WHEN 3 THEN
        -- Triggers on what is theirs, of functions that they own, and on tables that the role
        -- may put one on, of functions of somebody else than the table's owner.
        RETURN QUERY
        SELECT 'trigger', format('the trigger %I on %s runs %s of "%s"', t.tgname,
                i.identity, f.identity, pg_get_userbyid(p.proowner)),
            format('ALTER TABLE %s DISABLE TRIGGER %I', i.identity, t.tgname),
            p.proowner = ANY (theirs) AND sym.young(t.xmin, sure) AND i.schema <> 'sym'
                AND c.relkind IN ('r', 'p') AND c.relowner <> holder
                AND EXISTS (SELECT FROM unnest(led) r
                    WHERE has_table_privilege(r, c.oid, 'TRIGGER'))
                AND has_table_privilege(holder, c.oid, 'TRIGGER') IS FALSE
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid,
            LATERAL pg_identify_object('pg_class'::regclass, t.tgrelid, 0) i,
            LATERAL pg_identify_object('pg_proc'::regclass, t.tgfoid, 0) f
        WHERE sym.young(t.xmin, listed) AND NOT t.tgisinternal
          AND t.tgenabled <> 'D' AND c.relpersistence <> 't'
          AND (c.relowner = ANY (theirs) OR p.proowner = ANY (theirs || own_too)
            OR p.proowner <> c.relowner
                AND EXISTS (SELECT FROM unnest(led) r
                    WHERE has_table_privilege(r, c.oid, 'TRIGGER'))
                AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = p.proowner AND r.rolsuper));
    WHEN 4 THEN
        CONTINUE WHEN NOT named.anew;
        -- What they own since, in this database or in all; what acts with the rights of the
        -- role first. Functions that are new as well as their owner's are taken back by
        -- losing these rights.
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
            o.by_role AND NOT o.was_there AND o.sure AND i.schema IS DISTINCT FROM 'sym'
        FROM (
            SELECT d.classid, d.objid, d.owner, d.owner <> holder AS by_role,
                sym.young(d.written, sure) AS sure, coalesce(p.prosecdef, false) AS definer,
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
        -- Of other roles of the user's only what they were given: the rest may be anybody's.
        WHERE i.identity IS NOT NULL
          -- What is temporary goes with its session, which need not be the holder's.
          AND (starts_with(i.schema, 'pg_temp_') IS NOT TRUE
            OR o.by_role AND (o.definer OR o.reads_as_owner))
          AND (o.owner = ANY (theirs) OR o.was_there)
        ORDER BY NOT (o.by_role AND (o.definer OR o.reads_as_owner)), i.type, i.identity;
        -- A rule acts with the rights of who owns the table or view.
        RETURN QUERY
        SELECT 'attached', format('the rule %s acts with the rights of "%s"', i.identity,
                pg_get_userbyid(c.relowner)),
            -- One on a view cannot be disabled.
            format(CASE c.relkind WHEN 'v' THEN 'DROP RULE %2$I ON %1$s'
                ELSE 'ALTER TABLE %1$s DISABLE RULE %2$I' END, r.identity, w.rulename),
            sym.young(w.xmin, sure) AND c.relowner <> holder AND c.relkind <> 'v'
        FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class,
            LATERAL pg_identify_object('pg_rewrite'::regclass, w.oid, 0) i,
            LATERAL pg_identify_object('pg_class'::regclass, c.oid, 0) r
        WHERE w.rulename <> '_RETURN' AND w.ev_enabled <> 'D' AND sym.young(w.xmin, listed)
          AND c.relowner = ANY (theirs) AND i.identity IS NOT NULL
          -- On what was there before it is listed below.
          AND NOT EXISTS (SELECT FROM pg_shdepend s
            WHERE s.classid = 'pg_class'::regclass AND s.objid = c.oid AND s.deptype = 'o'
              AND s.dbid = here AND NOT sym.young(s.xmin, listed));
    WHEN 5 THEN
        -- Most often nothing has changed, and that is quickly seen.
        CONTINUE WHEN named.relations = '{}' AND named.large_objects = '{}' AND NOT named.types
            -- OFFSET has the row's age looked at before the rest of the row is.
            AND NOT EXISTS (SELECT FROM (SELECT c.relacl FROM pg_class c
                WHERE sym.young(c.xmin, listed) OFFSET 0) AS c WHERE c.relacl IS NOT NULL)
            AND NOT EXISTS (SELECT FROM (SELECT p.proacl FROM pg_proc p
                WHERE sym.young(p.xmin, listed) OFFSET 0) AS p WHERE p.proacl IS NOT NULL)
            AND NOT EXISTS (SELECT FROM pg_namespace n WHERE sym.young(n.xmin, listed))
            AND NOT EXISTS (SELECT FROM pg_database d WHERE sym.young(d.xmin, listed))
            AND NOT EXISTS (SELECT FROM pg_tablespace s WHERE sym.young(s.xmin, listed))
            AND NOT EXISTS (SELECT FROM pg_language l WHERE sym.young(l.xmin, listed))
            AND NOT EXISTS (SELECT FROM pg_foreign_data_wrapper w WHERE sym.young(w.xmin, listed))
            AND NOT EXISTS (SELECT FROM pg_foreign_server s WHERE sym.young(s.xmin, listed));
        -- Privileges that they gave, and that the user was given.
        RETURN QUERY
        WITH changed (classid, objid, objsubid, owner, acl, type, words, dbid) AS (
            SELECT 'pg_class'::regclass::oid, c.oid, 0, c.relowner, c.relacl,
                CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
                CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, here
            FROM pg_class c WHERE sym.young(c.xmin, listed)
              AND c.relacl IS NOT NULL AND c.relpersistence <> 't'
            UNION ALL
            SELECT 'pg_class'::regclass, a.attrelid, a.attnum, c.relowner, a.attacl, 'c', 'TABLE',
                here
            FROM unnest(named.relations) d (objid)
            JOIN pg_attribute a ON a.attrelid = d.objid JOIN pg_class c ON c.oid = d.objid
            WHERE sym.young(a.xmin, listed) AND a.attacl IS NOT NULL
              AND NOT a.attisdropped AND c.relpersistence <> 't'
            UNION ALL
            SELECT 'pg_proc'::regclass, p.oid, 0, p.proowner, p.proacl, 'f', 'ROUTINE', here
            FROM pg_proc p WHERE sym.young(p.xmin, listed) AND p.proacl IS NOT NULL
            UNION ALL
            SELECT 'pg_type'::regclass, t.oid, 0, t.typowner, t.typacl, 'T', 'TYPE', here
            FROM pg_type t WHERE named.types AND sym.young(t.xmin, listed)
              AND t.typacl IS NOT NULL
            UNION ALL
            SELECT 'pg_largeobject'::regclass, l.oid, 0, l.lomowner, l.lomacl, 'L',
                'LARGE OBJECT', here
            FROM unnest(named.large_objects) d (objid)
            JOIN pg_largeobject_metadata l ON l.oid = d.objid
            WHERE sym.young(l.xmin, listed) AND l.lomacl IS NOT NULL
            UNION ALL
            SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspowner, n.nspacl, 'n', 'SCHEMA', here
            FROM pg_namespace n WHERE sym.young(n.xmin, listed)
            UNION ALL
            SELECT 'pg_database'::regclass, d.oid, 0, d.datdba, d.datacl, 'd', 'DATABASE', 0
            FROM pg_database d WHERE sym.young(d.xmin, listed)
            UNION ALL
            SELECT 'pg_tablespace'::regclass, s.oid, 0, s.spcowner, s.spcacl, 't', 'TABLESPACE', 0
            FROM pg_tablespace s WHERE sym.young(s.xmin, listed)
            UNION ALL
            SELECT 'pg_language'::regclass, l.oid, 0, l.lanowner, l.lanacl, 'l', 'LANGUAGE', here
            FROM pg_language l WHERE sym.young(l.xmin, listed)
            UNION ALL
            SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, w.fdwowner, w.fdwacl, 'F',
                'FOREIGN DATA WRAPPER', here
            FROM pg_foreign_data_wrapper w WHERE sym.young(w.xmin, listed)
            UNION ALL
            SELECT 'pg_foreign_server'::regclass, s.oid, 0, s.srvowner, s.srvacl, 'S',
                'FOREIGN SERVER', here
            FROM pg_foreign_server s WHERE sym.young(s.xmin, listed)
        ), entries AS MATERIALIZED (
            SELECT c.*, a.grantor, a.grantee, a.privilege_type AS privilege, a.is_grantable,
                -- The object is new, or the one who was given this has something of it anew.
                EXISTS (SELECT FROM pg_shdepend s
                    WHERE s.dbid = c.dbid AND s.classid = c.classid AND s.objid = c.objid
                      AND (s.objsubid = c.objsubid AND s.deptype = 'a' AND s.refobjid = a.grantee
                        OR s.objsubid = 0 AND s.deptype = 'o' AND NOT EXISTS (
                            SELECT FROM pg_depend n WHERE n.classid = c.classid
                            AND n.objid = c.objid AND n.refclassid = 'pg_namespace'::regclass
                            AND NOT sym.young(n.xmin, listed)))
                      AND s.refclassid = 'pg_authid'::regclass
                      AND sym.young(s.xmin, sure)) AS anew
            FROM changed c, aclexplode(c.acl) a
        ), given AS (
            SELECT e.classid, e.objid, e.objsubid, e.owner, e.words, e.grantor, e.grantee,
                string_agg(e.privilege || coalesce(' (' || quote_ident(a.attname) || ')', ''), ', '
                    ORDER BY e.privilege) AS in_words,
                bool_and(e.grantor = ANY (led)
                    AND (e.anew OR e.grantee = holder)) AS anew,
                -- What was given by a right to pass it on is taken back in the name of that
                -- right's giver, and with it all that was given by it.
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
            g.anew AND g.alone AND i.schema IS DISTINCT FROM 'sym' AND i.identity <> 'sym'
        FROM given g, LATERAL pg_identify_object(g.classid, g.objid, 0) i,
            LATERAL (SELECT CASE g.grantee WHEN 0 THEN 'everybody'
                    ELSE format('"%s"', pg_get_userbyid(g.grantee)) END,
                CASE g.grantee WHEN 0 THEN 'PUBLIC'
                    ELSE quote_ident(pg_get_userbyid(g.grantee)) END) AS w (whom, grantee)
        WHERE i.identity IS NOT NULL
        ORDER BY g.grantee NOT IN (0, holder), i.identity;
    WHEN 6 THEN
        RETURN QUERY
        WITH entries AS (
            SELECT d.*, a.grantee,
                string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges,
                EXISTS (SELECT FROM pg_shdepend s
                    WHERE s.dbid = here AND s.classid = 'pg_default_acl'::regclass
                      AND s.objid = d.oid AND s.refclassid = 'pg_authid'::regclass
                      AND (s.deptype = 'o' OR s.refobjid = a.grantee)
                      AND sym.young(s.xmin, sure)) AS anew
            FROM (
                SELECT d.oid, d.defaclrole AS owner, d.defaclnamespace AS space, d.defaclacl AS acl,
                    d.defaclobjtype AS type, CASE d.defaclobjtype WHEN 'r' THEN 'TABLES'
                        WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES'
                        WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END AS words
                FROM pg_default_acl d WHERE sym.young(d.xmin, listed)
            ) AS d, aclexplode(d.acl) a
            WHERE a.grantee <> d.owner AND (d.owner = ANY (theirs) OR a.grantee = holder)
              AND NOT (d.space = 0 AND EXISTS (
                SELECT FROM aclexplode(acldefault(lower(d.type::text)::"char", d.owner)) e
                WHERE d.type IN ('f', 'T') AND e.grantee = a.grantee))
            GROUP BY d.oid, d.owner, d.space, d.acl, d.type, d.words, a.grantee
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
            e.anew AND e.owner = ANY (led) AND n.nspname IS DISTINCT FROM 'sym'
        FROM entries e LEFT JOIN pg_namespace n ON n.oid = e.space;
    WHEN 7 THEN
        RETURN QUERY
        SELECT 'attached', format('the policy %s, for "%s"', i.identity, pg_get_userbyid(holder)),
            CASE WHEN p.polpermissive THEN format('DROP POLICY %I ON %s', p.polname,
                r.identity) END, false
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid,
            LATERAL pg_identify_object('pg_policy'::regclass, p.oid, 0) i,
            LATERAL pg_identify_object('pg_class'::regclass, p.polrelid, 0) r
        WHERE sym.young(p.xmin, listed) AND holder = ANY (p.polroles)
          AND c.relowner <> ALL (theirs);
        -- REFERENCES is asked for when a foreign key is made, and never again.
        RETURN QUERY
        SELECT 'attached', format('the foreign key %s refers to %s: it tells which keys there are',
                i.identity, k.oid::regclass),
            format('ALTER TABLE %s DROP CONSTRAINT %I', r.identity, f.conname), false
        FROM (SELECT f.oid, f.conname, f.conrelid, f.confrelid FROM pg_constraint f
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
        CONTINUE WHEN NOT named.owning;
        RETURN QUERY
        SELECT 'changed', format('row-level security is off for the table %s, which has policies',
                i.identity), format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', i.identity), false
        FROM pg_class c, LATERAL pg_identify_object('pg_class'::regclass, c.oid, 0) i
        WHERE sym.young(c.xmin, listed) AND c.relowner = ANY (theirs)
          AND NOT c.relrowsecurity AND c.relkind IN ('r', 'p')
          AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid);
        -- What was put on something of theirs: rules, policies, defaults, constraints and
        -- indexes with expressions, casts, user mappings, tables of publications. It may
        -- have been there, and changed.
        RETURN QUERY
        SELECT DISTINCT 'attached', format('the %s %s, on something of "%s"', i.type,
                i.identity, pg_get_userbyid(o.refobjid)),
            CASE WHEN w.oid IS NOT NULL THEN (SELECT format('ALTER TABLE %s DISABLE RULE %I',
                    r.identity, w.rulename)
                    FROM pg_identify_object('pg_class'::regclass, w.ev_class, 0) r)
                WHEN p.polpermissive THEN (SELECT format('DROP POLICY %I ON %s', p.polname,
                    r.identity) FROM pg_identify_object('pg_class'::regclass, p.polrelid, 0) r) END,
            false
        FROM pg_shdepend o
        JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
        LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
        LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
        LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
        LEFT JOIN pg_index x ON d.classid = 'pg_class'::regclass AND x.indexrelid = d.objid,
            LATERAL pg_identify_object(d.classid, d.objid, 0) i
        WHERE o.refclassid = 'pg_authid'::regclass AND o.refobjid = ANY (theirs)
          AND o.deptype = 'o' AND o.dbid = here
          AND sym.young(d.xmin, listed) AND NOT sym.young(o.xmin, listed)
          AND (d.classid IN ('pg_policy'::regclass, 'pg_attrdef'::regclass, 'pg_cast'::regclass,
                    'pg_transform'::regclass, 'pg_user_mapping'::regclass)
                OR w.rulename <> '_RETURN' AND w.ev_class = o.objid OR c.contype = 'c'
                OR x.indexprs IS NOT NULL OR x.indpred IS NOT NULL
                OR o.classid = 'pg_publication'::regclass)
          AND i.identity IS NOT NULL;
    WHEN 8 THEN
        CONTINUE WHEN NOT named.owning;
        -- What was theirs before, and whose definition may be another now.
        RETURN QUERY
        SELECT 'changed', format('the %s %s of "%s", or a privilege on it, was changed', i.type,
            i.identity, pg_get_userbyid(d.refobjid)), NULL, false
        FROM pg_shdepend d
        LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
            AND c.relkind IN ('v', 'm')
        LEFT JOIN pg_rewrite w ON w.ev_class = c.oid AND w.rulename = '_RETURN',
            LATERAL pg_identify_object(d.classid, d.objid, 0) i
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (theirs)
          AND d.deptype = 'o' AND d.dbid = here AND NOT sym.young(d.xmin, listed)
          AND (sym.young(p.xmin, listed) OR sym.young(w.xmin, listed)
            OR c.relkind = 'v' AND sym.young(c.xmin, listed))
          AND i.identity IS NOT NULL;
    WHEN 9 THEN
        -- Only the row has an age, and not the setting.
        RETURN QUERY
        SELECT 'setting', format('settings of %s were changed: %s', coalesce(
                '"' || pg_get_userbyid(nullif(s.setrole, 0)) || '"'
                    || coalesce(' in the database "' || d.datname || '"', ''),
                'the database "' || d.datname || '"'), string_agg(split_part(c, '=', 1), ', ')),
            string_agg(CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', d.datname)
                ELSE format('ALTER ROLE %I', pg_get_userbyid(s.setrole))
                    || coalesce(' IN DATABASE ' || quote_ident(d.datname), '') END
                || format(' RESET %I', split_part(c, '=', 1)), '; '), false
        FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase,
            unnest(s.setconfig) c
        WHERE sym.young(s.xmin, listed) AND (s.setrole = ANY (theirs)
            OR s.setrole = 0 AND d.datdba = ANY (theirs))
        GROUP BY s.setrole, d.datname;
    WHEN 10 THEN
        IF version >= 150000 THEN
            RETURN QUERY
            SELECT 'privilege', format('%s on the setting %s for %s, by "%s"', a.privilege_type,
                    p.parname, w.whom, pg_get_userbyid(a.grantor)),
                format('REVOKE %s ON PARAMETER %s FROM %s CASCADE', a.privilege_type,
                    quote_ident(p.parname), w.grantee), false
            FROM pg_parameter_acl p, aclexplode(p.paracl) a,
                LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'everybody'
                        ELSE format('"%s"', pg_get_userbyid(a.grantee)) END,
                    CASE a.grantee WHEN 0 THEN 'PUBLIC'
                        ELSE quote_ident(pg_get_userbyid(a.grantee)) END) AS w (whom, grantee)
            WHERE sym.young(p.xmin, listed) AND a.grantee <> a.grantor
              AND (a.grantor = ANY (theirs) OR a.grantee = holder);
        END IF;
    WHEN 11 THEN
        CONTINUE WHEN NOT named.elsewhere;
        -- Of other databases nothing but this is seen from here.
        RETURN QUERY
        SELECT CASE d.deptype WHEN 'o' THEN 'owned' ELSE 'privilege' END,
            format(CASE d.deptype WHEN 'o' THEN 'in the database "%s" %s objects belong to "%s"'
                ELSE 'in the database "%s" the privileges on %s objects name "%s"' END,
                b.datname, count(*), pg_get_userbyid(d.refobjid)), NULL, false
        FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (theirs)
          AND d.dbid NOT IN (here, 0) AND (d.deptype = 'o' OR d.deptype = 'a'
            AND d.refobjid = holder) AND sym.young(d.xmin, listed)
        GROUP BY b.datname, d.deptype, d.refobjid;
    WHEN 12 THEN
        -- The table must be the extension's: a view by its name would run its maker's code
        -- with our rights.
        SELECT c.oid INTO jobs FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
        JOIN pg_extension e ON e.oid = d.refobjid
        WHERE n.nspname = 'cron' AND c.relname = 'job' AND c.relkind = 'r'
          AND e.extname = 'pg_cron'
          AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT');
        IF jobs IS NOT NULL THEN
            RETURN QUERY EXECUTE
                'SELECT ''job'', format(''the scheduled job %s of "%s" in the database "%s"'', '
                    'j.jobid, j.username, j.database), '
                    'format(''SELECT cron.alter_job(%s, active := false)'', j.jobid), false '
                'FROM cron.job j JOIN pg_roles r ON r.rolname = j.username::name '
                'WHERE r.oid = ANY ($1) AND sym.young(j.xmin, $2)'
                USING theirs, listed;
        END IF;
    WHEN 13 THEN
        RETURN QUERY SELECT 'in_use', u.what, u.undo, false FROM sym.in_use(role) u;
    END CASE;
    EXCEPTION WHEN OTHERS THEN
        kind := 'unseen';
        what := format('a part could not be looked at: %s', SQLERRM);
        undo := NULL;
        safe := false;
        RETURN NEXT;
    END;
    END LOOP;
END
$$;

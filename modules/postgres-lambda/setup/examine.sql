-- The rights of a role, its own and those of every role that it is a member of, that decide
-- whether it may be handed out:
--
--   never        it can take over everything else, hinder the broker, or change the ledger
--   lasting      its holder can turn it into permanent access
--   could_leave  its holder can make things that stay; this is common, and reported
--
-- With as_user the question is whether a person who has the role may be given others: then only
-- "never" counts.
CREATE OR REPLACE FUNCTION sym.examine(target oid, as_user boolean)
RETURNS TABLE (severity text, through name, what text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    version int := current_setting('server_version_num')::int;
    us      oid := (SELECT polroles[1] FROM pg_policy
                    WHERE polrelid = 'sym.grants'::regclass AND polname = 'broker');
    here    oid := (SELECT oid FROM pg_database WHERE datname = current_database());
    -- The broker asks at a grant, the owner in setup.sql.
    granting boolean := session_user = (SELECT rolname FROM pg_roles WHERE oid = us);
    led     oid[];
BEGIN
    WITH RECURSIVE reached (oid) AS (
        SELECT target
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT array_agg(r.oid) INTO led FROM reached r;

    RETURN QUERY
    SELECT 'never', r.rolname, d.reason
    FROM pg_roles r, LATERAL (SELECT CASE
        WHEN r.rolsuper THEN 'is a superuser'
        WHEN r.rolcreaterole AND (NOT as_user OR version < 160000)
            THEN 'can create roles, and change others'
        WHEN r.rolreplication AND NOT as_user THEN 'can copy the whole server'
        WHEN r.rolbypassrls THEN 'bypasses row-level security, which protects the ledger'
        WHEN r.oid = us THEN 'is the user that the function logs in as'
        WHEN r.oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'sym')
            THEN 'owns the ledger'
        WHEN r.oid IN (SELECT datdba FROM pg_database WHERE datname = current_database())
            THEN 'owns the database'
        WHEN r.rolname IN ('rds_superuser', 'rdsadmin', 'rds_replication', 'alloydbsuperuser',
            'cloudsqlsuperuser', 'azure_pg_admin') THEN 'administers the server'
        WHEN r.rolname = 'pg_read_server_files' THEN 'reads the files of the server'
        WHEN r.rolname = 'pg_write_server_files' THEN 'writes the files of the server'
        WHEN r.rolname = 'pg_execute_server_program' THEN 'runs programs on the server'
        WHEN r.rolname = 'pg_signal_backend' THEN 'can end the sessions of the function'
        WHEN r.rolname = 'pg_maintain' THEN 'can lock every table, and the catalogue'
        WHEN r.rolname = 'pg_use_reserved_connections'
            THEN 'can take the connections that are kept for the function'
        END AS reason) AS d
    WHERE r.oid = ANY (led) AND d.reason IS NOT NULL
    ORDER BY r.oid <> target, r.rolname;

    RETURN QUERY
    SELECT 'never', r.rolname, format('may call %s, which reads or writes files of the server',
        p.proname)
    FROM pg_proc p, aclexplode(p.proacl) a JOIN pg_roles r ON r.oid = a.grantee
    WHERE p.proname IN ('pg_read_file', 'pg_read_binary_file', 'lo_import', 'lo_export')
      AND p.pronamespace = 'pg_catalog'::regnamespace AND a.grantee = ANY (led)
    UNION ALL
    SELECT 'never', r.rolname, 'can hand out the right to act as the function'
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
    WHERE m.member = ANY (led) AND m.admin_option AND m.roleid = us AND NOT r.rolsuper
    UNION ALL
    SELECT 'never', r.rolname, 'may change settings of the whole server'
    FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (led)
      AND d.classid = to_regclass('pg_parameter_acl');
    IF version >= 170000 THEN
        RETURN QUERY
        SELECT 'never', r.rolname, 'can lock the catalogue, by its right to maintain a table of it'
        FROM pg_roles r WHERE r.oid = ANY (led) AND NOT r.rolsuper
          AND r.rolname <> 'pg_maintain' AND EXISTS (
            SELECT FROM pg_class c, aclexplode(c.relacl) a
            WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'
              AND a.grantee = r.oid AND a.privilege_type = 'MAINTAIN');
    END IF;
    IF as_user THEN
        RETURN;
    END IF;

    RETURN QUERY
    SELECT 'lasting', r.rolname, 'can log in: whoever holds it can change its password, '
        'and lock out whoever uses it'
    FROM pg_roles r WHERE r.oid = ANY (led) AND r.rolcanlogin
      -- Up to 14 a login can add members to itself, which is no reason to refuse them.
      AND (r.oid = target OR version >= 150000 OR NOT EXISTS (SELECT FROM pg_auth_members m
        WHERE m.roleid = r.oid AND m.member = ANY (led) AND m.grantor = r.oid))
    UNION ALL
    SELECT DISTINCT ON (r.oid, o.how) o.how, r.rolname, CASE o.how
        WHEN 'lasting' THEN 'owns objects: whoever holds it can give themselves access to them for good'
        ELSE 'owns objects that its holders may have made' END
    FROM pg_roles r, pg_shdepend d, LATERAL (SELECT CASE
        WHEN d.classid IN ('pg_largeobject'::regclass, 'pg_default_acl'::regclass)
            THEN 'could_leave'
        WHEN d.dbid NOT IN (0, here) THEN 'could_leave'
        WHEN coalesce(n.nspname ~ '^pg_temp_', false) THEN NULL
        -- Otherwise what one holder makes in a schema would get everybody else refused.
        WHEN granting AND EXISTS (SELECT FROM aclexplode(n.nspacl) a
            WHERE a.grantee = ANY (led) AND a.privilege_type = 'CREATE') THEN 'could_leave'
        WHEN granting AND EXISTS (SELECT FROM sym.grants g WHERE g.origin = sym.origin()
            AND sym.young(d.xmin, age(g.granted_in::xid))
            AND (g.role_oid = r.oid OR pg_has_role(g.role_oid, r.oid, 'MEMBER')))
            THEN 'could_leave'
        ELSE 'lasting' END AS how
        FROM (SELECT) AS one LEFT JOIN pg_namespace n ON d.dbid = here AND n.oid = CASE d.classid
            WHEN 'pg_class'::regclass THEN (SELECT relnamespace FROM pg_class WHERE oid = d.objid)
            WHEN 'pg_proc'::regclass THEN (SELECT pronamespace FROM pg_proc WHERE oid = d.objid)
            WHEN 'pg_type'::regclass THEN (SELECT typnamespace FROM pg_type WHERE oid = d.objid)
            END) AS o
    WHERE r.oid = ANY (led) AND d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
      AND d.deptype = 'o' AND o.how IS NOT NULL
      AND (r.oid = target OR version >= 150000 OR NOT EXISTS (SELECT FROM pg_auth_members m
        WHERE m.roleid = r.oid AND m.member = ANY (led) AND m.grantor = r.oid))
    UNION ALL
    SELECT 'lasting', r.rolname, format('can hand out the role "%s"', g.rolname)
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = ANY (led) AND m.admin_option
    UNION ALL
    -- A SCRAM verifier is useless without the password; an MD5 hash is as good as the password.
    SELECT CASE WHEN current_setting('password_encryption') = 'md5' THEN 'lasting'
        ELSE 'could_leave' END, r.rolname,
        'can read the password hashes of all users (pg_authid): an MD5 hash is enough to log in '
        'as that user'
    FROM pg_roles r WHERE r.oid = ANY (led) AND r.rolname = 'pg_read_all_data';

    RETURN QUERY
    SELECT 'could_leave', r.rolname, 'can create databases'
    FROM pg_roles r WHERE r.oid = ANY (led) AND r.rolcreatedb
    UNION ALL
    SELECT 'could_leave', r.rolname, 'can create subscriptions'
    FROM pg_roles r WHERE r.oid = ANY (led) AND r.rolname = 'pg_create_subscription'
    UNION ALL
    SELECT 'could_leave', r.rolname, format('can create schemas in the database "%s"', d.datname)
    FROM pg_roles r, pg_database d, aclexplode(d.datacl) a
    WHERE r.oid = ANY (led) AND d.datname = current_database()
      AND a.grantee = r.oid AND a.privilege_type = 'CREATE'
    UNION ALL
    (SELECT 'could_leave', CASE WHEN a.grantee = 0 THEN 'public' ELSE r.rolname END,
        format('can create tables and functions in the schema %I%s', n.nspname,
            CASE WHEN a.grantee = 0 THEN ', as everybody can' ELSE '' END)
    FROM pg_namespace n, aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.privilege_type = 'CREATE' AND (a.grantee = 0 OR a.grantee = ANY (led))
    ORDER BY n.nspname LIMIT 5)
    UNION ALL
    -- If a role has privileges on very many tables, only the first are examined.
    (SELECT 'could_leave', r.rolname, format(CASE WHEN a.is_grantable
            THEN 'can grant %s on %I to others' ELSE 'can put a trigger on %2$I' END,
            a.privilege_type, c.relname)
    FROM (SELECT d.objid FROM pg_shdepend d
        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (led)
          AND d.deptype = 'a' AND d.classid = 'pg_class'::regclass
          AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        LIMIT 1000) AS given
    JOIN pg_class c ON c.oid = given.objid, aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
    WHERE a.grantee = ANY (led) AND (a.is_grantable OR a.privilege_type = 'TRIGGER')
      AND c.relpersistence <> 't'
    LIMIT 5);
END
$$;

-- Rights to the ledger that nobody but the broker should have, and protections of it that
-- are missing, each in a sentence.
CREATE OR REPLACE FUNCTION sym.exposed() RETURNS TABLE (what text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    us    oid := (SELECT polroles[1] FROM pg_policy
                  WHERE polrelid = 'sym.grants'::regclass AND polname = 'broker');
    owner oid := (SELECT nspowner FROM pg_namespace WHERE nspname = 'sym');
BEGIN
    RETURN QUERY
    SELECT format('%s has %s on %s.', CASE WHEN a.grantee = 0 THEN 'Everybody'
            ELSE format('"%s"', pg_get_userbyid(a.grantee)) END,
        string_agg(DISTINCT a.privilege_type, ', '), a.object)
    FROM (
        SELECT 'the schema sym' AS object, (aclexplode(nspacl)).*
        FROM pg_namespace WHERE nspname = 'sym'
        UNION ALL
        SELECT 'sym.' || relname, (aclexplode(relacl)).*
        FROM pg_class WHERE relnamespace = 'sym'::regnamespace
        UNION ALL
        SELECT format('%s of sym.%s', attname, relname), (aclexplode(attacl)).*
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = 'sym'::regnamespace
        UNION ALL
        SELECT 'the function sym.' || proname,
            (aclexplode(coalesce(proacl, acldefault('f', proowner)))).*
        FROM pg_proc WHERE pronamespace = 'sym'::regnamespace
    ) AS a
    WHERE a.grantee NOT IN (us, owner) GROUP BY a.grantee, a.object ORDER BY 1;

    RETURN QUERY
    SELECT format('Row-level security is not forced on sym.%s: whoever may read or write all '
        'data reads or writes it.', relname)
    FROM pg_class WHERE relnamespace = 'sym'::regnamespace AND relkind IN ('r', 'p')
      AND NOT (relrowsecurity AND relforcerowsecurity)
    UNION ALL
    SELECT format('sym.%s has the policy "%s", which setup.sql did not make.', relname, polname)
    FROM pg_policy p JOIN pg_class c ON c.oid = polrelid
    WHERE relnamespace = 'sym'::regnamespace AND NOT (polname = 'broker' AND polroles = ARRAY[us]
        OR polname IN ('owner', 'owner_ends', 'owner_tidies') AND polroles = ARRAY[owner])
    UNION ALL
    SELECT format('sym.%s has the trigger "%s", which setup.sql did not make.', relname, tgname)
    FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = 'sym'::regnamespace AND NOT tgisinternal
    UNION ALL
    SELECT format('sym.%s has the rule "%s", which setup.sql did not make.', relname, rulename)
    FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class
    WHERE relnamespace = 'sym'::regnamespace AND relkind IN ('r', 'p')
    UNION ALL
    SELECT format('sym.%s belongs to "%s", and the schema to "%s".', o.name,
        pg_get_userbyid(o.whose), pg_get_userbyid(owner))
    FROM (SELECT relname, relowner FROM pg_class WHERE relnamespace = 'sym'::regnamespace
        UNION ALL
        SELECT proname, proowner FROM pg_proc WHERE pronamespace = 'sym'::regnamespace
    ) AS o (name, whose) WHERE o.whose <> owner
    UNION ALL
    SELECT format('"%s" is a member of "%s", and can act as the function.', r.rolname,
        pg_get_userbyid(us))
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
    WHERE m.roleid = us AND NOT r.rolsuper
      AND ((to_jsonb(m)->>'set_option')::boolean IS NOT FALSE
        OR (to_jsonb(m)->>'inherit_option')::boolean IS NOT FALSE)
    UNION ALL
    SELECT format('"%s", as which the function logs in, has more rights than it may have: it '
        'must not be SUPERUSER, CREATEROLE, REPLICATION or BYPASSRLS.', rolname)
    FROM pg_roles WHERE oid = us
      AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls);
END
$$;

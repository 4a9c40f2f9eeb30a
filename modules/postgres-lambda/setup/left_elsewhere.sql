-- Memberships, except those that the broker granted: they are in the ledger.
CREATE OR REPLACE FUNCTION sym.left_memberships(
    holder oid, led oid[], theirs oid[], broker oid, listed integer, sure integer
) RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    version int := current_setting('server_version_num')::int;
BEGIN
    RETURN QUERY
    SELECT 'membership', format('"%s" was made a member of "%s", by "%s"',
            pg_get_userbyid(m.member), pg_get_userbyid(m.roleid), pg_get_userbyid(m.grantor)),
        format(CASE WHEN version >= 160000 THEN 'REVOKE %I FROM %I GRANTED BY %I CASCADE'
            ELSE 'REVOKE %I FROM %I CASCADE' END, pg_get_userbyid(m.roleid),
            pg_get_userbyid(m.member), pg_get_userbyid(m.grantor)),
        -- Up to version 15 the option may have been added to a membership from before.
        (m.grantor = ANY (led) OR m.grantor = holder AND m.roleid = holder)
            AND (version >= 160000 OR NOT m.admin_option) AND sym.young(m.xmin, sure), m.xmin
    FROM pg_auth_members m
    WHERE sym.young(m.xmin, listed) AND m.grantor IS DISTINCT FROM broker
      AND (m.member = holder OR m.roleid = holder OR m.grantor = ANY (theirs));
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Prepared transactions, which change the database when somebody commits them.
CREATE OR REPLACE FUNCTION sym.left_prepared(theirs oid[], own_too oid[], listed integer)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'prepared_transaction', format('the prepared transaction %L of "%s" in the '
            'database "%s"', p.gid, p.owner, p.database),
        format('ROLLBACK PREPARED %L', p.gid), false, p.transaction
    FROM pg_prepared_xacts p JOIN pg_roles r ON r.rolname = p.owner
    WHERE r.oid = ANY (theirs || own_too) AND sym.young(p.transaction, listed);
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Settings. The row has an age, the single setting has none, so all of the row are listed.
CREATE OR REPLACE FUNCTION sym.left_settings(theirs oid[], listed integer)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'setting', format('settings of %s were changed: %s', coalesce(
            '"' || pg_get_userbyid(nullif(s.setrole, 0)) || '"'
                || coalesce(' in the database "' || d.datname || '"', ''),
            'the database "' || d.datname || '"'), string_agg(split_part(c, '=', 1), ', ')),
        string_agg(CASE WHEN s.setrole = 0 THEN format('ALTER DATABASE %I', d.datname)
            ELSE format('ALTER ROLE %I', pg_get_userbyid(s.setrole))
                || coalesce(' IN DATABASE ' || quote_ident(d.datname), '') END
            || format(' RESET %I', split_part(c, '=', 1)), '; '), false,
        (array_agg(s.xmin))[1]
    FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase,
        unnest(s.setconfig) c
    WHERE sym.young(s.xmin, listed) AND (s.setrole = ANY (theirs)
        OR s.setrole = 0 AND d.datdba = ANY (theirs))
    GROUP BY s.setrole, d.datname;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Objects and privileges in other databases. Only their number can be seen from here.
CREATE OR REPLACE FUNCTION sym.left_in_databases(holder oid, theirs oid[], listed integer)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    RETURN QUERY
    SELECT CASE d.deptype WHEN 'o' THEN 'owned' ELSE 'privilege' END,
        format(CASE d.deptype WHEN 'o' THEN 'in the database "%s" %s objects belong to "%s"'
            ELSE 'in the database "%s" the privileges on %s objects name "%s"' END,
            b.datname, count(*), pg_get_userbyid(d.refobjid)), NULL, false,
        -- It stands for several transactions.
        NULL::xid
    FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (theirs)
      AND d.dbid NOT IN (here, 0) AND (d.deptype = 'o' OR d.deptype = 'a'
        AND d.refobjid = holder) AND sym.young(d.xmin, listed)
    GROUP BY b.datname, d.deptype, d.refobjid;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Jobs of the extension pg_cron.
CREATE OR REPLACE FUNCTION sym.left_jobs(theirs oid[], listed integer)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    jobs oid;
BEGIN
    -- Read the table only if it is the extension's: a view of the same name would run its
    -- owner's code with our rights.
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
                'format(''SELECT cron.alter_job(%s, active := false)'', j.jobid), false, j.xmin '
            'FROM cron.job j JOIN pg_roles r ON r.rolname = j.username::name '
            'WHERE r.oid = ANY ($1) AND sym.young(j.xmin, $2)'
            USING theirs, listed;
    END IF;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

-- Transactions of other users that work with the rights of the role.
CREATE OR REPLACE FUNCTION sym.left_in_use(role oid)
RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT 'in_use', u.what, u.undo, false, NULL::xid FROM sym.in_use(role) u;
EXCEPTION WHEN OTHERS THEN
    RETURN QUERY SELECT 'unseen', format('a part could not be looked at: %s', SQLERRM), NULL,
        false, NULL::xid;
END
$$;

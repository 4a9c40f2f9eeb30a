-- Revokes every right in the schema from everyone but the broker: the owner's default privileges
-- may have applied to what was made above. Roles that read or write all data (pg_read_all_data,
-- pg_write_all_data) need no such right; row-level security stops them. Every sweep checks all of
-- this.
DO $$
DECLARE
    broker  text := current_setting('sym.broker');
    given   record;
    governed text;
BEGIN
    FOR given IN
        SELECT 'SCHEMA sym' AS object, a.grantee
        FROM pg_namespace, aclexplode(nspacl) a WHERE nspname = 'sym'
        UNION
        SELECT 'TABLE sym.' || quote_ident(relname), a.grantee
        FROM pg_class, aclexplode(relacl) a
        WHERE relnamespace = 'sym'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION
        SELECT 'TABLE sym.' || quote_ident(relname), a.grantee
        FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
        WHERE relnamespace = 'sym'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        UNION
        SELECT format('ROUTINE sym.%I(%s)', proname, pg_get_function_identity_arguments(p.oid)),
            a.grantee
        FROM pg_proc p, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
        WHERE pronamespace = 'sym'::regnamespace
    LOOP
        IF given.grantee IS DISTINCT FROM
           (SELECT oid FROM pg_roles WHERE rolname = current_user) THEN
            EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', given.object,
                CASE WHEN given.grantee = 0 THEN 'PUBLIC'
                ELSE quote_ident(pg_get_userbyid(given.grantee)) END);
        END IF;
    END LOOP;

    FOREACH governed IN ARRAY ARRAY['grants', 'users', 'locks', 'allowed'] LOOP
        EXECUTE format('ALTER TABLE sym.%I ENABLE ROW LEVEL SECURITY', governed);
        EXECUTE format('ALTER TABLE sym.%I FORCE ROW LEVEL SECURITY', governed);
        FOR given IN SELECT polname FROM pg_policy
                     WHERE polrelid = format('sym.%I', governed)::regclass LOOP
            EXECUTE format('DROP POLICY %I ON sym.%I', given.polname, governed);
        END LOOP;
        EXECUTE format('CREATE POLICY broker ON sym.%I TO %I USING (true)', governed, broker);
        EXECUTE format('CREATE POLICY owner ON sym.%I FOR %s TO %I USING (true)',
            governed, CASE WHEN governed IN ('users', 'allowed') THEN 'ALL' ELSE 'SELECT' END,
            current_user);
    END LOOP;
    -- The owner may end active runs at once, and delete finished ones.
    EXECUTE format('CREATE POLICY owner_ends ON sym.grants FOR UPDATE TO %I '
        'USING (revoked_at IS NULL) WITH CHECK (expires_at <= statement_timestamp())',
        current_user);
    EXECUTE format('CREATE POLICY owner_tidies ON sym.grants FOR DELETE TO %I '
        'USING (revoked_at IS NOT NULL AND sessions_ended_at IS NOT NULL)', current_user);

    -- The broker reads the ledger and adds to it. In existing rows it can only record that a
    -- run was revoked, its sessions ended, and what it left behind reported.
    EXECUTE format('GRANT USAGE ON SCHEMA sym TO %I', broker);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE (revoked_at, sessions_ended_at, '
        'open_then, open_from, told) '
        'ON sym.grants TO %I', broker);
    EXECUTE format('GRANT SELECT, INSERT (username, email) ON sym.users TO %I', broker);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON sym.locks TO %I', broker);
    EXECUTE format('GRANT SELECT ON sym.allowed TO %I', broker);
    FOR given IN SELECT p.oid::regprocedure AS object FROM pg_proc p
                 WHERE pronamespace = 'sym'::regnamespace
                   AND proname NOT IN ('create_user', 'assign_user') LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', given.object, broker);
    END LOOP;
    IF current_setting('sym.create_users') = 'on' THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION sym.create_user(name, text) TO %I', broker);
    END IF;
END
$$;

-- A role by its name, or by its number where it was renamed; NULL where it was dropped.
CREATE OR REPLACE FUNCTION sym.resolve(of_name name, of_oid oid) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT oid FROM pg_roles WHERE rolname = of_name OR oid = of_oid
    ORDER BY rolname = of_name DESC LIMIT 1
$$;

-- Whether a user can use a role, by whatever way. From version 16 on a membership may be
-- one that only lets its holder pass the role on, and does not count.
CREATE OR REPLACE FUNCTION sym.holds(holder oid, role oid) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        RETURN pg_has_role(holder, role, 'USAGE, SET');
    END IF;
    RETURN pg_has_role(holder, role, 'MEMBER');
END
$$;

-- Why a role must never be handed out: the name of the role that makes it dangerous, which
-- is itself or one that it is a member of; NULL where it is harmless. Dangerous is what can
-- give itself other roles, act outside the database, or change this ledger.
CREATE OR REPLACE FUNCTION sym.danger(target oid) RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE reached (oid) AS (
        SELECT target
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT rolname FROM reached JOIN pg_roles USING (oid)
    WHERE rolsuper OR rolcreaterole OR rolreplication
       OR rolname IN ('rds_superuser', 'rdsadmin', 'rds_replication', 'pg_read_server_files',
                      'pg_write_server_files', 'pg_execute_server_program')
       OR rolname = current_user
       OR oid = (SELECT nspowner FROM pg_namespace WHERE nspname = 'sym')
    ORDER BY oid <> target, rolname LIMIT 1
$$;

-- Ends the sessions of the user of a run that was ended, once, unless the user still holds
-- the role: a session that did SET ROLE would keep it until its end. It runs with its
-- owner's rights so that the broker need not be allowed to end sessions of its choice: it
-- acts only for a run that the ledger says is revoked, and never on a superuser's. It waits
-- until they are gone and answers how many.
CREATE OR REPLACE FUNCTION sym.end_sessions(ended_run text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended    sym.grants;
    holder   oid;
    role     oid;
    pids     integer[];
    deadline timestamptz := clock_timestamp() + interval '3 seconds';
BEGIN
    SELECT * INTO ended FROM sym.grants
    WHERE run = ended_run AND revoked_at IS NOT NULL AND sessions_ended_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE sym.grants SET sessions_ended_at = clock_timestamp() WHERE run = ended_run;

    holder := sym.resolve(ended.username, ended.user_oid);
    role := sym.resolve(ended.rolename, ended.role_oid);
    IF EXISTS (SELECT FROM pg_roles WHERE oid = holder AND rolsuper)
       OR (holder IS NOT NULL AND role IS NOT NULL AND sym.holds(holder, role)) THEN
        RETURN 0;
    END IF;
    -- The sessions of a user who was dropped go on, too.
    holder := coalesce(holder, ended.user_oid);

    -- First who, then the deed: in one query the planner could do it the other way round.
    SELECT array_agg(pid) INTO pids FROM pg_stat_activity
    WHERE usesysid = holder AND pid <> pg_backend_pid();
    PERFORM pg_terminate_backend(pid) FROM unnest(pids) pid;
    LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity
                              WHERE pid = ANY (pids) AND usesysid = holder);
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'a session of "%" does not end', ended.username
                USING ERRCODE = 'lock_not_available';
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN coalesce(cardinality(pids), 0);
END
$$;

-- Makes the database user of a person who has none: with a login, no password, and rds_iam
-- where the server knows it, so that on RDS the person logs in with IAM and elsewhere as the
-- administrator arranges. The mark that the user is ours is made_at, and a comment on the
-- role. It runs with its owner's rights, so that the broker needs no CREATEROLE, which up to
-- version 15 could change every password; only with create_users=on may the broker call it.
-- Nobody drops the users again.
CREATE OR REPLACE FUNCTION sym.create_user(new_user name, for_email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE ROLE %I LOGIN', new_user);
    EXECUTE format('COMMENT ON ROLE %I IS %L', new_user, 'Made by sym for ' || for_email);
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        EXECUTE format('GRANT rds_iam TO %I', new_user);
    END IF;
    INSERT INTO sym.users (username, email, made_at)
    VALUES (new_user, for_email, clock_timestamp())
    ON CONFLICT (username) DO UPDATE SET made_at = excluded.made_at;
END
$$;

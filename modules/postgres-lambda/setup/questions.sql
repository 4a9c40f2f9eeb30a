-- The function's queries and writes. Being functions, they are planned once a session, behind a
-- pooler too. They run with the broker's own rights. Times are microseconds since 1970, a format
-- that no setting changes, and NULL for a time that we cannot have written, such as infinity.
CREATE OR REPLACE FUNCTION sym.micros(of_time timestamptz) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN of_time BETWEEN '1970-01-01 00:00+00' AND '9999-12-31 00:00+00'
        THEN (extract(epoch FROM of_time) * 1000000)::bigint END
$$;

-- Whether another run has the membership: either one that has not expired, or any that has not
-- been ended.
CREATE OR REPLACE FUNCTION sym.held_by_others(
    not_run text, of_user oid, of_role oid, here text, expired_too boolean
) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN EXISTS (SELECT FROM sym.grants o
        WHERE o.user_oid = of_user AND o.role_oid = of_role AND o.origin = here
          AND o.revoked_at IS NULL AND o.run <> not_run
          AND (expired_too OR o.expires_at > clock_timestamp()))
      OR EXISTS (SELECT FROM sym.grants o
        WHERE o.username = (SELECT rolname FROM pg_roles WHERE oid = of_user)
          AND o.rolename = (SELECT rolname FROM pg_roles WHERE oid = of_role)
          AND o.origin IS DISTINCT FROM here
          AND o.revoked_at IS NULL AND o.run <> not_run
          AND (expired_too OR o.expires_at > clock_timestamp()));
END
$$;

-- Everything that a grant needs to know before it decides. With locking, no other run of the
-- function changes anything about the user until the transaction is over.
CREATE OR REPLACE FUNCTION sym.situation(
    of_run text, of_user text, of_role text, locking boolean
) RETURNS json
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    here    text := sym.origin();
    us      oid := (SELECT oid FROM pg_roles WHERE rolname = current_user);
    owner   oid := (SELECT nspowner FROM pg_namespace WHERE nspname = 'sym');
    version integer := current_setting('server_version_num')::integer / 10000;
    u       record;
    r       record;
    g       record;
    m       record;
    members text[];
BEGIN
    SELECT oid, rolcanlogin, rolinherit INTO u FROM pg_roles WHERE rolname = of_user::name;
    SELECT oid, rolname INTO r FROM pg_roles WHERE rolname = of_role::name;
    IF locking AND u.oid IS NOT NULL THEN
        INSERT INTO sym.locks (user_oid) VALUES (u.oid)
        ON CONFLICT (user_oid) DO UPDATE SET user_oid = excluded.user_oid;
    END IF;
    SELECT run, username::text, rolename::text, standing, sym.micros(granted_at) AS granted,
        sym.micros(expires_at) AS expires, granted_at IS NULL OR revoked_at IS NOT NULL
            OR expires_at <= clock_timestamp() AS ended
        INTO g FROM sym.grants WHERE run = of_run;
    SELECT coalesce(bool_or(x.grantor = us), false) AS ours,
        coalesce(bool_or(x.grantor <> us AND x.a_run), false) AS runs,
        coalesce(bool_or(x.grantor <> us AND NOT x.a_run), false) AS others
        INTO m FROM (
            SELECT a.grantor, a.grantor <> us AND EXISTS (SELECT FROM sym.grants o
                WHERE o.revoked_at IS NULL AND o.grantor = a.grantor
                  AND o.user_oid = u.oid AND o.role_oid = r.oid AND o.origin = here) AS a_run
            FROM pg_auth_members a WHERE a.roleid = r.oid AND a.member = u.oid) AS x;
    IF EXISTS (SELECT FROM pg_auth_members a WHERE a.roleid = u.oid) THEN
        WITH RECURSIVE below (oid) AS (
            SELECT u.oid
            UNION
            SELECT a.member FROM pg_auth_members a JOIN below b ON a.roleid = b.oid
            WHERE (to_jsonb(a)->>'set_option')::boolean IS NOT FALSE
               OR (to_jsonb(a)->>'inherit_option')::boolean IS NOT FALSE
        )
        SELECT array_agg(p.rolname::text ORDER BY p.rolname) INTO members
        FROM below b JOIN pg_roles p ON p.oid = b.oid
        WHERE p.oid NOT IN (u.oid, us, owner) AND p.rolcanlogin AND NOT p.rolsuper
          AND (r.oid IS NULL OR NOT sym.holds(p.oid, r.oid));
    END IF;
    RETURN json_build_object(
        'now', sym.micros(clock_timestamp()), 'version', version,
        'known', g.run IS NOT NULL, 'user', g.username, 'role', g.rolename,
        'granted', g.granted, 'expires', g.expires, 'ended', g.ended, 'standing', g.standing,
        'user_exists', u.oid IS NOT NULL, 'user_is_login', coalesce(u.rolcanlogin, false),
        'user_power', (SELECT json_build_object('through', sym.readable(e.through::text),
                'what', sym.readable(e.what))
            FROM sym.examine(u.oid, true) e LIMIT 1),
        'user_members', members,
        'may_make', coalesce(has_function_privilege(
            to_regprocedure('sym.create_user(name, text)'), 'EXECUTE'), false),
        'owner', (SELECT email FROM sym.users WHERE username = of_user::name),
        'role_exists', r.oid IS NOT NULL,
        'may_grant', EXISTS (SELECT FROM pg_auth_members a
            WHERE a.roleid = r.oid AND a.member = us AND a.admin_option),
        'circular', u.oid IS NOT NULL AND r.oid IS NOT NULL
            AND pg_has_role(r.oid, u.oid, 'MEMBER'),
        'findings', (SELECT json_agg(json_build_object('severity', e.severity,
                'through', sym.readable(e.through::text), 'what', sym.readable(e.what)))
            FROM sym.examine(r.oid, false) e),
        'allowed', EXISTS (SELECT FROM sym.allowed WHERE rolename = r.rolname),
        'ours', m.ours, 'from_runs', m.runs, 'foreign', m.others,
        'inherits', u.oid IS NULL OR u.rolinherit
            OR r.oid IS NOT NULL AND pg_has_role(u.oid, r.oid, 'USAGE'));
END
$$;

-- Records a grant, in the transaction that made it.
CREATE OR REPLACE FUNCTION sym.note_granted(
    of_run text, of_user text, of_role text, by_requester text, for_reason text,
    from_micros bigint, to_micros bigint, stood boolean, ours boolean
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    u      oid;
    r      oid;
    before record;
BEGIN
    INSERT INTO sym.users (username, email) VALUES (of_user, by_requester) ON CONFLICT DO NOTHING;
    SELECT oid INTO u FROM pg_roles WHERE rolname = of_user::name;
    SELECT oid INTO r FROM pg_roles WHERE rolname = of_role::name;
    SELECT o.granted_in, o.oldest_then, coalesce(o.held_since, o.granted_at) AS held_since
        INTO before
    FROM sym.grants o WHERE o.user_oid = u AND o.role_oid = r AND o.revoked_at IS NULL
      AND o.origin = sym.origin() ORDER BY o.granted_in LIMIT 1;
    -- A user or role that has been dropped is NULL, which the table rejects.
    INSERT INTO sym.grants (run, username, user_oid, rolename, role_oid, requester, reason,
        granted_at, expires_at, standing, grantor, granted_in, oldest_then, held_since)
    VALUES (of_run, of_user::name, u, of_role::name, r, by_requester, for_reason,
        timestamptz '1970-01-01 00:00+00' + from_micros * interval '1 microsecond',
        timestamptz '1970-01-01 00:00+00' + to_micros * interval '1 microsecond', stood,
        CASE WHEN ours THEN (SELECT oid FROM pg_roles WHERE rolname = current_user) END,
        coalesce(before.granted_in, pg_current_xact_id()),
        coalesce(before.oldest_then, (
            -- A transaction that was prepared before can only be committed or rolled back.
            SELECT x FROM (SELECT pg_snapshot_xip(pg_current_snapshot())
                UNION ALL SELECT pg_snapshot_xmax(pg_current_snapshot())) AS open (x)
            WHERE NOT EXISTS (SELECT FROM pg_prepared_xact() p
                WHERE p.transaction::text::bigint = x::text::bigint % 4294967296)
            ORDER BY x LIMIT 1)), before.held_since);
END
$$;

-- What the ledger and the catalogue say about a run that is to end. It locks the user's row until
-- the transaction is over.
CREATE OR REPLACE FUNCTION sym.holding(of_run text) RETURNS json
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    here  text := sym.origin();
    us    oid := (SELECT oid FROM pg_roles WHERE rolname = current_user);
    g     record;
    u     record;
    r     record;
    local boolean;
BEGIN
    SELECT * INTO g FROM sym.grants WHERE run = of_run;
    local := coalesce(g.origin = here, false);
    SELECT oid, rolname INTO u FROM pg_roles
    WHERE CASE WHEN local THEN oid = g.user_oid ELSE rolname = g.username END;
    SELECT oid, rolname INTO r FROM pg_roles
    WHERE CASE WHEN local THEN oid = g.role_oid ELSE rolname = g.rolename END;
    IF u.oid IS NOT NULL THEN
        INSERT INTO sym.locks (user_oid) VALUES (u.oid)
        ON CONFLICT (user_oid) DO UPDATE SET user_oid = excluded.user_oid;
        -- Read it again, now that we have the lock.
        SELECT * INTO g FROM sym.grants WHERE run = of_run;
    END IF;
    RETURN json_build_object(
        'known', g.run IS NOT NULL, 'revoked', g.revoked_at IS NOT NULL,
        'sessions_ended', g.sessions_ended_at IS NOT NULL,
        'user', coalesce(g.username, ''), 'role', coalesce(g.rolename, ''),
        'user_now', coalesce(u.rolname, ''), 'role_now', coalesce(r.rolname, ''),
        'user_oid', coalesce(u.oid, CASE WHEN local THEN g.user_oid END)::bigint,
        'role_oid', coalesce(r.oid, CASE WHEN local THEN g.role_oid END)::bigint,
        'others', u.oid IS NOT NULL AND r.oid IS NOT NULL
            -- If this run was ended before, leave what another run still has to end.
            AND sym.held_by_others(of_run, u.oid, r.oid, here, g.revoked_at IS NOT NULL),
        'here', local,
        'grantors', (SELECT json_agg(pg_get_userbyid(m.grantor) ORDER BY m.grantor <> us)
            FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member = u.oid
              AND (m.grantor = us OR local AND m.grantor = g.grantor)),
        'since', CASE WHEN local THEN g.granted_in::text END,
        'version', current_setting('server_version_num')::integer / 10000);
END
$$;

-- Records that a run was revoked, in the transaction that did it, and returns how many of the
-- memberships are still there.
CREATE OR REPLACE FUNCTION sym.note_revoked(
    of_run text, of_user bigint, of_role bigint, grantors text[]
) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE sym.grants SET revoked_at = clock_timestamp() WHERE run = of_run AND revoked_at IS NULL;
    RETURN (SELECT count(*) FROM pg_auth_members m
        WHERE m.member = of_user::oid AND m.roleid = of_role::oid
          AND pg_get_userbyid(m.grantor) = ANY (grantors));
END
$$;

-- How a user still holds a role: the role itself if the user is a direct member, otherwise the
-- members of the role through which the user has it.
CREATE OR REPLACE FUNCTION sym.still_through(holder oid, role oid) RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF holder IS NULL OR role IS NULL OR NOT EXISTS (SELECT FROM pg_roles u, pg_roles r
        WHERE u.oid = holder AND r.oid = role AND (sym.holds(u.oid, r.oid)
            -- Whoever may grant the role can give it to themselves at any time.
            OR pg_has_role(u.oid, r.oid, 'MEMBER WITH ADMIN OPTION'))) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT DISTINCT CASE WHEN m.member = holder THEN
            pg_get_userbyid(role) ELSE pg_get_userbyid(m.member) END::text
        FROM pg_auth_members m WHERE m.roleid = role AND pg_has_role(holder, m.member, 'MEMBER')
        ORDER BY 1);
END
$$;

-- Records that the end of a run is complete, and that a sweep has to look at what was left behind,
-- in case nobody does before.
CREATE OR REPLACE FUNCTION sym.note_complete(of_run text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE sym.grants SET sessions_ended_at = clock_timestamp(),
        open_then = CASE WHEN granted_in IS NOT NULL THEN ARRAY['search'] END
    WHERE run = of_run AND revoked_at IS NOT NULL AND sessions_ended_at IS NULL;
END
$$;

-- Finishes an end after the REVOKE. It ends the sessions, unless they are to be kept. It records
-- the run as finished, unless there are readers, which may have sessions too, or prepared
-- transactions of the user, which somebody else has to end.
CREATE OR REPLACE FUNCTION sym.finish(
    of_run text, of_user bigint, of_role bigint, ending boolean, listed boolean,
    patience_ms bigint
) RETURNS json
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ended    integer;
    readers  boolean := listed;
    prepared text[] := '{}';
BEGIN
    IF ending THEN
        ended := sym.end_sessions(of_user::oid, of_role::oid, patience_ms * interval '1 millisecond',
            (SELECT revoked_at FROM sym.grants WHERE run = of_run));
        readers := ended IS NOT NULL AND (listed OR EXISTS (SELECT FROM sym.readers()));
    END IF;
    IF ended IS NOT NULL THEN
        prepared := sym.prepared(of_user::oid, of_role::oid,
            (SELECT coalesce(held_since, granted_at) FROM sym.grants WHERE run = of_run));
    END IF;
    IF NOT (ending AND readers) AND prepared = '{}' THEN
        PERFORM sym.note_complete(of_run);
    END IF;
    RETURN json_build_object('ended', ended, 'readers', ending AND readers,
        'prepared', prepared,
        'still_through', sym.still_through(of_user::oid, of_role::oid));
END
$$;

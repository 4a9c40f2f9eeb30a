
-- The roles to look at. led: the role and those that it is a member of, except administrators.
-- theirs: led and the holder. own_too: the other roles that the holder is a member of. pinned:
-- the predefined ones among all of these.
CREATE OR REPLACE FUNCTION sym.whose(
    holder oid, role oid, OUT broker oid, OUT led oid[], OUT theirs oid[], OUT own_too oid[],
    OUT pinned oid[]
) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    runner oid;
BEGIN
    SELECT p.polroles[1] INTO broker FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'sym' AND c.relname = 'grants' AND p.polname = 'broker';
    SELECT n.nspowner INTO runner FROM pg_namespace n WHERE n.nspname = 'sym';

    WITH RECURSIVE reached (oid) AS (
        SELECT role
        UNION
        SELECT m.roleid FROM pg_auth_members m JOIN reached r ON m.member = r.oid
    )
    SELECT array_agg(r.oid) INTO led FROM reached r LEFT JOIN pg_roles p ON p.oid = r.oid
    WHERE p.rolsuper IS NOT TRUE AND r.oid NOT IN (runner, broker, holder);
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
END
$$;

-- Which parts are worth running. A role may have privileges on very many objects, so they are
-- read only once, here.
CREATE OR REPLACE FUNCTION sym.worth_a_look(
    theirs oid[], own_too oid[], pinned oid[], listed integer, OUT anew boolean,
    OUT owning boolean, OUT elsewhere boolean, OUT types boolean, OUT large_objects oid[],
    OUT relations oid[]
) LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    here oid := (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
BEGIN
    SELECT coalesce(bool_or(d.deptype = 'o' AND d.dbid IN (here, 0)
            AND sym.young(d.xmin, listed)), false),
        coalesce(bool_or(d.deptype = 'o' AND d.refobjid = ANY (theirs)), false),
        coalesce(bool_or(d.dbid NOT IN (here, 0)), false),
        coalesce(bool_or(d.classid = 'pg_type'::regclass), false),
        coalesce(array_agg(DISTINCT d.objid) FILTER (WHERE d.classid = 'pg_largeobject'::regclass
            AND d.dbid = here), '{}'),
        coalesce(array_agg(DISTINCT d.objid) FILTER (WHERE d.classid = 'pg_class'::regclass
            AND d.dbid = here), '{}')
    INTO anew, owning, elsewhere, types, large_objects, relations FROM pg_shdepend d
    WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (theirs || own_too)
      AND (d.deptype = 'o' OR d.objsubid <> 0 OR d.classid IN (
            'pg_type'::regclass, 'pg_largeobject'::regclass) OR sym.young(d.xmin, listed));

    IF pinned <> '{}' THEN
        anew := anew OR EXISTS (SELECT FROM sym.owned_by(pinned) o
            WHERE sym.young(o.written, listed));
    END IF;
END
$$;

-- Lists what the holder of a role has made or been given since a transaction, and what stays
-- when the role is gone; with the statement that takes it back (NULL if a person has to decide),
-- whether that statement is safe to run without asking, and the transaction that wrote the row of
-- the catalogue. It reads only catalogues, with the caller's rights, and waits at most a tenth of
-- a second for a lock.
--
-- A row of a catalogue is as old as the transaction that last wrote it (xmin). A transaction that
-- was already open at the grant can be used with the role, too, even somebody else's that calls
-- a function of the holder's; its number is older than the grant. So rows that are not older
-- than the oldest such transaction are listed, and only rows that are not older than the grant
-- are safe to take back.
--
-- "Theirs" means of the user, of the role, or of a role that it is a member of. pg_shdepend lists
-- what these own, in every database, and the objects whose privileges name them; the rows of the
-- objects tell what changed. pg_shdepend has no rows for predefined roles, although members can
-- own objects as them: those are found by their owners in the catalogues.
--
-- Each part is a function, by concern in the files beside this one. If a part fails, for example
-- because an object is dropped at this moment, it adds a row of the kind "unseen" to what it has
-- found so far, and the other parts go on.
CREATE OR REPLACE FUNCTION sym.left_behind(
    holder oid, role oid, since xid8, oldest xid8 DEFAULT NULL
) RETURNS TABLE (kind text, what text, undo text, safe boolean, written xid)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
-- Most parts find nothing, and planning them again each time would cost more than running them.
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    -- The maximum age, in transactions, of rows to list and of rows that are safe to take back.
    listed int := sym.age_since(least(oldest, since));
    sure   int := sym.age_since(since);
    r      record;
    n      record;
BEGIN
    SELECT * INTO r FROM sym.whose(holder, role);
    SELECT * INTO n FROM sym.worth_a_look(r.theirs, r.own_too, r.pinned, listed);

    RETURN QUERY SELECT * FROM sym.left_memberships(
        holder, r.led, r.theirs, r.broker, listed, sure);
    RETURN QUERY SELECT * FROM sym.left_prepared(r.theirs, r.own_too, listed);
    RETURN QUERY SELECT * FROM sym.left_triggers(
        holder, r.led, r.theirs, r.own_too, listed, sure);
    IF n.anew THEN
        RETURN QUERY SELECT * FROM sym.left_owned(
            holder, role, r.led, r.theirs, r.own_too, r.pinned, listed, sure);
        RETURN QUERY SELECT * FROM sym.left_rules(holder, r.theirs, listed, sure);
    END IF;
    RETURN QUERY SELECT * FROM sym.left_privileges(
        holder, r.led, r.theirs, listed, sure, n.relations, n.large_objects, n.types);
    RETURN QUERY SELECT * FROM sym.left_default_privileges(
        holder, r.led, r.theirs, listed, sure);
    RETURN QUERY SELECT * FROM sym.left_attached(holder, r.led, r.theirs, listed, n.owning);
    IF n.owning THEN
        RETURN QUERY SELECT * FROM sym.left_changed(r.theirs, listed);
    END IF;
    RETURN QUERY SELECT * FROM sym.left_settings(r.theirs, listed);
    RETURN QUERY SELECT * FROM sym.left_parameters(holder, r.theirs, listed);
    IF n.elsewhere THEN
        RETURN QUERY SELECT * FROM sym.left_in_databases(holder, r.theirs, listed);
    END IF;
    RETURN QUERY SELECT * FROM sym.left_jobs(r.theirs, listed);
    RETURN QUERY SELECT * FROM sym.left_in_use(role);
END
$$;

-- Refuses roles that the function would refuse at every grant, so that nothing is installed; and
-- warns of roles whose holders could leave things behind.
DO $$
DECLARE
    found record;
BEGIN
    DELETE FROM sym.allowed;
    INSERT INTO sym.allowed
    SELECT DISTINCT btrim(t)::name
    FROM unnest(string_to_array(current_setting('sym.allow'), ',')) t WHERE btrim(t) <> '';

    FOR found IN
        SELECT r.oid, r.rolname AS target, e.* FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t
        JOIN pg_roles r ON r.rolname = btrim(t), sym.examine(r.oid, false) e
    LOOP
        IF found.severity = 'never' THEN
            RAISE EXCEPTION 'The role "%" must not be handed out: it is, or is a member of, '
                '"%", which %.', found.target, found.through, found.what;
        ELSIF found.severity = 'lasting' AND found.what LIKE 'owns objects%'
              AND found.oid::text = ANY (string_to_array(current_setting('sym.had'), ',')) THEN
            -- Its holders may have made the objects, and must not be able to block setup.sql.
            RAISE WARNING 'The role "%", which is handed out, is or is a member of "%", which '
                'owns objects by now. Look at them: whoever holds the role can give themselves '
                'access to them for good.', found.target, found.through;
        ELSIF found.severity = 'lasting' AND found.target NOT IN (SELECT rolename FROM sym.allowed) THEN
            RAISE EXCEPTION 'The role "%" should not be handed out: it is, or is a member of, '
                '"%", which %. Make a role without that, or allow it by name: -v allow=%',
                found.target, found.through, found.what, found.target;
        ELSE
            RAISE WARNING 'Holding "%" can have effects that outlast the grant: it is, or is a '
                'member of, "%", which %.',
                found.target, found.through, found.what;
        END IF;
    END LOOP;
END
$$;

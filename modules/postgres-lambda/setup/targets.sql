-- What the function would refuse every time is said now, and nothing is left behind; what
-- the holder of a role could leave behind is said as well.
DO $$
DECLARE
    found record;
BEGIN
    DELETE FROM sym.allowed;
    INSERT INTO sym.allowed
    SELECT DISTINCT btrim(t)::name
    FROM unnest(string_to_array(current_setting('sym.allow'), ',')) t WHERE btrim(t) <> '';

    FOR found IN
        SELECT r.rolname AS target, e.* FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t
        JOIN pg_roles r ON r.rolname = btrim(t), sym.examine(r.oid, false) e
    LOOP
        IF found.severity = 'never' THEN
            RAISE EXCEPTION 'The role "%" must not be handed out: it is, or is a member of, '
                '"%", which %.', found.target, found.through, found.what;
        ELSIF found.severity = 'lasting' AND found.target NOT IN (SELECT rolename FROM sym.allowed) THEN
            RAISE EXCEPTION 'The role "%" should not be handed out: it is, or is a member of, '
                '"%", which %. Make a role without that, or allow it by name: -v allow=%',
                found.target, found.through, found.what, found.target;
        ELSE
            RAISE WARNING 'What a holder of "%" makes can outlast the grant: "%" %.',
                found.target, found.through, found.what;
        END IF;
    END LOOP;
END
$$;

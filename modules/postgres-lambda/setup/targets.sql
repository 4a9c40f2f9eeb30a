-- The function would refuse these every time; say so now, and leave nothing behind.
DO $$
DECLARE
    target text;
    danger text;
BEGIN
    FOR target, danger IN
        SELECT rolname, sym.danger(oid)
        FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t
        JOIN pg_roles ON rolname = btrim(t)
    LOOP
        IF danger IS NOT NULL THEN
            RAISE EXCEPTION 'The role "%" must not be handed out: it is, or is a member of, '
                '"%".', target, danger;
        END IF;
    END LOOP;
END
$$;

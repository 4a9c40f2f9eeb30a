-- The broker, and the roles that it may hand out. From version 16 on it cannot use them
-- itself; up to 15, NOINHERIT keeps it from using them by accident.
DO $$
DECLARE
    broker text := current_setting('sym.broker');
    target text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = broker) THEN
        EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', broker);
    ELSIF EXISTS (SELECT FROM pg_roles
                  WHERE rolname = broker AND (rolinherit OR NOT rolcanlogin)) THEN
        EXECUTE format('ALTER ROLE %I LOGIN NOINHERIT', broker);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), broker);

    FOR target IN
        SELECT btrim(t) FROM unnest(string_to_array(current_setting('sym.roles'), ',')) t
        WHERE btrim(t) <> ''
    LOOP
        IF current_setting('server_version_num')::int >= 160000 THEN
            EXECUTE format('GRANT %I TO %I WITH ADMIN TRUE, INHERIT FALSE, SET FALSE',
                target, broker);
        ELSE
            EXECUTE format('GRANT %I TO %I WITH ADMIN OPTION', target, broker);
        END IF;
    END LOOP;
END
$$;

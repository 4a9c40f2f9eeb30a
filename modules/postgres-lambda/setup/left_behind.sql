-- What the holder of a role made or was given that stays when the role is gone.
CREATE OR REPLACE FUNCTION sym.left_behind(holder oid, role oid, since xid8)
RETURNS TABLE (kind text, what text, undo text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
END
$$;
CREATE OR REPLACE FUNCTION sym.take_back(holder oid, role oid, since xid8)
RETURNS TABLE (kind text, what text, undo text, taken_back boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
END
$$;

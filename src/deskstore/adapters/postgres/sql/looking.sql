-- What is not as deskstore needs it, with the SQL that mends it. $1: schema; $2: the application role, null for whoever asks;
-- $3 to $5: tables, what leads their keys (empty: nothing of companies), what the role may do with them; $6 to $12: policies.
WITH role AS (
    SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.rolname = coalesce($2::text, current_user)
), space AS (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
), relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.reloptions,
        format('%I.%I', s.nspname, c.relname) AS called
    FROM pg_catalog.pg_class c JOIN space s ON c.relnamespace = s.oid
), expected AS (
    SELECT e.name, e.leads, string_to_array(e.may, ' ') AS may FROM unnest($3::text[], $4::text[], $5::text[]) AS e (name, leads, may)
), sealed AS (
    -- a table that nobody knows is sealed like all others
    SELECT r.*, e.leads FROM relation r LEFT JOIN expected e ON e.name = r.relname
    WHERE r.relkind IN ('r', 'p') AND coalesce(e.leads, 'company_id') <> ''
), wanted AS (
    SELECT * FROM unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
        AS w (tab, name, permissive, cmd, qual, with_check, made_by)
), policy AS (
    SELECT p.tablename, p.policyname, p.permissive, p.cmd, coalesce(p.qual, '') AS qual, coalesce(p.with_check, '') AS with_check, p.roles
    FROM pg_catalog.pg_policies p WHERE p.schemaname = $1::text
), routine AS (
    SELECT f.oid, f.proname, f.prosecdef, f.provolatile, f.proacl, f.proowner, l.lanname,
        format('%I.%I(%s)', s.nspname, f.proname, pg_get_function_identity_arguments(f.oid)) AS called
    FROM pg_catalog.pg_proc f JOIN space s ON f.pronamespace = s.oid JOIN pg_catalog.pg_language l ON l.oid = f.prolang
), version AS (
    SELECT current_setting('server_version') AS text, current_setting('server_version_num')::integer AS number
)

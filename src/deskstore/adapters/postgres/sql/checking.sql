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
SELECT kind, what, mend FROM (
    -- the role
    SELECT 'role' AS kind, format('there is no role %I', $2::text) AS what, format('CREATE ROLE %I LOGIN', $2::text) AS mend
    WHERE NOT EXISTS (SELECT FROM role)
    UNION ALL
    SELECT 'role', format('the role %I is a superuser, whom no policy binds', r.rolname), format('ALTER ROLE %I NOSUPERUSER', r.rolname)
    FROM role r WHERE r.rolsuper
    UNION ALL
    SELECT 'role', format('the role %I has BYPASSRLS: no policy binds it', r.rolname), format('ALTER ROLE %I NOBYPASSRLS', r.rolname)
    FROM role r WHERE r.rolbypassrls AND NOT r.rolsuper
    UNION ALL
    SELECT DISTINCT 'role', format('the role %I owns tables of the schema, and may unseal them', r.rolname),
        format('REASSIGN OWNED BY %I TO another_role', r.rolname)
    FROM role r JOIN (SELECT relowner AS owner FROM relation UNION ALL SELECT nspowner FROM space UNION ALL SELECT proowner FROM routine) o ON o.owner = r.oid
    WHERE NOT r.rolsuper
    UNION ALL
    SELECT DISTINCT 'role', format('the role %I is a member of %I, which owns tables of the schema', r.rolname, w.rolname),
        format('REVOKE %I FROM %I', w.rolname, r.rolname)
    FROM role r, (SELECT relowner AS owner FROM relation UNION SELECT nspowner FROM space UNION SELECT proowner FROM routine) o
    JOIN pg_catalog.pg_roles w ON w.oid = o.owner
    WHERE NOT r.rolsuper AND o.owner <> r.oid AND pg_has_role(r.oid, o.owner, 'MEMBER')
    UNION ALL
    -- a server that forgets what it acknowledged
    SELECT 'durability', format('%s is off: what was acknowledged may be lost in a crash', s.name),
        CASE s.name WHEN 'synchronous_commit' THEN format('ALTER ROLE %I SET synchronous_commit = on', (SELECT rolname FROM role))
            ELSE format('ALTER SYSTEM SET %s = on; SELECT pg_reload_conf()', s.name) END
    FROM pg_catalog.pg_settings s WHERE s.name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND s.setting = 'off'
    UNION ALL
    SELECT 'release', format('PostgreSQL %s has known holes in row-level security (CVE-2025-8713): install %s.%s or later', v.text, v.number / 10000, f.least), ''
    FROM version v JOIN (VALUES (13, 22), (14, 19), (15, 14), (16, 10), (17, 6)) AS f (major, least)
        ON v.number / 10000 = f.major AND v.number % 10000 < f.least
    UNION ALL
    -- what is there, and sealed
    SELECT 'schema', format('there is no schema %I in this database', $1::text), '' WHERE NOT EXISTS (SELECT FROM space)
    UNION ALL
    SELECT 'schema', format('the table %I.%I is missing', $1::text, e.name), ''
    FROM expected e WHERE EXISTS (SELECT FROM space) AND NOT EXISTS (SELECT FROM relation r WHERE r.relname = e.name AND r.relkind IN ('r', 'p'))
    UNION ALL
    SELECT 'sealing', format('row-level security is off for %s', s.called), format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', s.called)
    FROM sealed s WHERE NOT s.relrowsecurity
    UNION ALL
    SELECT 'sealing', format('row-level security does not bind the owner of %s', s.called), format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', s.called)
    FROM sealed s WHERE NOT s.relforcerowsecurity
    UNION ALL
    SELECT 'sealing', format('the policy %I of %s is %s', w.name, s.called, CASE WHEN p.policyname IS NULL THEN 'missing' ELSE 'not as it was made' END),
        CASE WHEN p.policyname IS NULL THEN '' ELSE format('DROP POLICY %I ON %s; ', w.name, s.called) END || w.made_by
    FROM wanted w JOIN sealed s ON s.relname = w.tab LEFT JOIN policy p ON p.tablename = w.tab AND p.policyname = w.name
    WHERE p.policyname IS NULL OR (p.permissive, p.cmd, p.qual, p.with_check, p.roles)
        IS DISTINCT FROM (w.permissive, w.cmd, w.qual, w.with_check, '{public}'::name[])
    UNION ALL
    SELECT 'sealing', format('the policy %I of %I.%I is none of deskstore''s', p.policyname, $1::text, p.tablename),
        format('DROP POLICY %I ON %I.%I', p.policyname, $1::text, p.tablename)
    FROM policy p WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.tab = p.tablename AND w.name = p.policyname)
    UNION ALL
    -- what would lead around the policies
    SELECT 'bypass', format('%s is a %s, which has no place in the schema', r.called, k.name), format('DROP %s %s', upper(k.name), r.called)
    FROM relation r JOIN (VALUES ('v', 'view'), ('m', 'materialized view'), ('f', 'foreign table'), ('S', 'sequence')) AS k (relkind, name)
        ON k.relkind = r.relkind::text
    UNION ALL
    SELECT 'bypass', format('the function %s runs with the rights of its owner', f.called), format('ALTER ROUTINE %s SECURITY INVOKER', f.called)
    FROM routine f WHERE f.prosecdef
    UNION ALL
    SELECT 'bypass', format('the function %s is not VOLATILE: it would read what stood before it waited', f.called),
        format('ALTER FUNCTION %s VOLATILE', f.called)
    FROM routine f WHERE f.lanname <> 'sql' AND f.provolatile <> 'v'
    UNION ALL
    SELECT 'bypass', format('the key %s of %s does not begin with %s', i.relname, s.called, coalesce(s.leads, 'company_id')), format('DROP INDEX %s', i.called)
    FROM sealed s
    JOIN pg_catalog.pg_index x ON x.indrelid = s.oid AND x.indisunique
    JOIN relation i ON i.oid = x.indexrelid
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = s.oid AND a.attnum = x.indkey[0]
    WHERE a.attname IS DISTINCT FROM coalesce(s.leads, 'company_id')
    UNION ALL
    SELECT 'bypass', format('the foreign key %I of %s looks past row-level security', k.conname, s.called),
        format('ALTER TABLE %s DROP CONSTRAINT %I', s.called, k.conname)
    FROM sealed s JOIN pg_catalog.pg_constraint k ON k.conrelid = s.oid AND k.contype = 'f'
    UNION ALL
    SELECT 'counting', format('the trigger %I of %s is switched off', g.tgname, r.called), format('ALTER TABLE %s ENABLE TRIGGER %I', r.called, g.tgname)
    FROM relation r JOIN pg_catalog.pg_trigger g ON g.tgrelid = r.oid AND NOT g.tgisinternal AND g.tgenabled <> 'O'
    UNION ALL
    -- privileges, no more and no less
    SELECT 'privileges', format('the role %I may not connect to the database', r.rolname),
        format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), r.rolname)
    FROM role r WHERE NOT has_database_privilege(r.oid, current_database(), 'CONNECT')
    UNION ALL
    SELECT 'privileges', format('the role %I may not use the schema %I', r.rolname, s.nspname), format('GRANT USAGE ON SCHEMA %I TO %I', s.nspname, r.rolname)
    FROM role r, space s WHERE NOT has_schema_privilege(r.oid, s.oid, 'USAGE')
    UNION ALL
    SELECT 'privileges', format('the role %I may create things in the schema %I', r.rolname, s.nspname),
        format('REVOKE CREATE ON SCHEMA %I FROM %I', s.nspname, r.rolname)
    FROM role r, space s WHERE NOT r.rolsuper AND r.oid <> s.nspowner AND has_schema_privilege(r.oid, s.oid, 'CREATE')
    UNION ALL
    SELECT 'privileges', format('the role %I may not %s %s', r.rolname, p.name, t.called), format('GRANT %s ON %s TO %I', p.name, t.called, r.rolname)
    FROM role r, relation t JOIN expected e ON e.name = t.relname CROSS JOIN unnest(e.may) AS p (name)
    WHERE t.relkind IN ('r', 'p') AND NOT has_table_privilege(r.oid, t.oid, p.name)
    UNION ALL
    SELECT 'privileges', format('the role %I may %s %s, and must not', r.rolname, p.name, t.called), format('REVOKE %s ON %s FROM %I', p.name, t.called, r.rolname)
    FROM role r, relation t LEFT JOIN expected e ON e.name = t.relname
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (name)
    WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT r.rolsuper AND t.relowner <> r.oid
        AND p.name <> ALL (coalesce(e.may, ARRAY[]::text[])) AND has_table_privilege(r.oid, t.oid, p.name)
    UNION ALL
    SELECT DISTINCT 'privileges', format('everybody has privileges on %s', t.called), format('REVOKE ALL ON %s FROM PUBLIC', t.called)
    FROM relation t CROSS JOIN LATERAL aclexplode(t.relacl) a WHERE a.grantee = 0
    UNION ALL
    SELECT 'privileges', format('the role %I may use the sequence %s', r.rolname, t.called), format('REVOKE ALL ON SEQUENCE %s FROM %I', t.called, r.rolname)
    FROM role r, relation t
    WHERE NOT r.rolsuper AND t.relowner <> r.oid AND CASE WHEN t.relkind = 'S' THEN has_sequence_privilege(r.oid, t.oid, 'USAGE, SELECT, UPDATE') END
    UNION ALL
    SELECT 'privileges', format('the role %I may not call %s', r.rolname, f.called), format('GRANT EXECUTE ON FUNCTION %s TO %I', f.called, r.rolname)
    FROM role r, routine f WHERE NOT has_function_privilege(r.oid, f.oid, 'EXECUTE')
    UNION ALL
    SELECT 'privileges', format('everybody may call %s', f.called), format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', f.called)
    FROM routine f WHERE f.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(f.proacl) a WHERE a.grantee = 0)
    UNION ALL
    SELECT 'privileges', format('everybody may use or change the schema %I', s.nspname), format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', s.nspname)
    FROM space s WHERE EXISTS (SELECT FROM aclexplode(s.nspacl) a WHERE a.grantee = 0)
) faults

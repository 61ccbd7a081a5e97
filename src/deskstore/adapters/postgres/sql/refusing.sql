-- What nobody may work with.
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
FROM (VALUES ('fsync'), ('full_page_writes'), ('synchronous_commit')) AS s (name) WHERE current_setting(s.name) = 'off'
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

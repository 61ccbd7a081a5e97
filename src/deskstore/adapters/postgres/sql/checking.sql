-- What whoever looks after the database should know besides.
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

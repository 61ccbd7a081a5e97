-- Everything that a schema consists of, a line each; $1 is the schema, whose own name is left out. Privileges are looked at elsewhere.
-- A table in partitions counts as one that is not: the partitions are left out, and how they are stored is told of the whole.
WITH space AS (
    SELECT n.oid, quote_ident(n.nspname) || '.' AS prefix FROM pg_catalog.pg_namespace n WHERE n.nspname = $1
), relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence, s.prefix,
        CASE WHEN c.relkind <> 'p' THEN c.reloptions ELSE (
            SELECT max(p.reloptions) FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid WHERE i.inhparent = c.oid
        ) END AS reloptions
    FROM pg_catalog.pg_class c JOIN space s ON c.relnamespace = s.oid
    WHERE NOT c.relispartition AND c.relname NOT LIKE 'schema\_version%' -- alembic's own
)
SELECT what, replace(fact, prefix, '') AS fact FROM (
    SELECT format('%s %s', CASE r.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
            ELSE 'relation' END, r.relname) AS what,
        format('%s sealed %s %s with %s', r.relpersistence, r.relrowsecurity, r.relforcerowsecurity, r.reloptions) AS fact, r.prefix
    FROM relation r WHERE r.relkind NOT IN ('i', 'I', 't')
    UNION ALL
    SELECT format('column %s.%s', r.relname, a.attname),
        format('%s %s %s %s %s %s %s', a.attnum, format_type(a.atttypid, a.atttypmod), o.collname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
            a.attcompression, a.attgenerated), r.prefix
    FROM relation r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p')
    UNION ALL
    SELECT format('constraint %s on %s', k.conname, r.relname), pg_get_constraintdef(k.oid), r.prefix
    FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid AND k.contype <> 'n'
    UNION ALL
    SELECT format('index %s', i.relname), replace(pg_get_indexdef(i.oid), ' ON ONLY ', ' ON '), i.prefix FROM relation i WHERE i.relkind IN ('i', 'I')
    UNION ALL
    SELECT format('trigger %s on %s', g.tgname, r.relname), format('%s %s', pg_get_triggerdef(g.oid), g.tgenabled), r.prefix
    FROM relation r JOIN pg_catalog.pg_trigger g ON g.tgrelid = r.oid AND NOT g.tgisinternal
    UNION ALL
    SELECT format('policy %s on %s', p.polname, r.relname),
        format('%s %s %s %s %s', p.polcmd, p.polpermissive, p.polroles::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
        r.prefix
    FROM relation r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
    UNION ALL
    SELECT format('function %s(%s)', f.proname, pg_get_function_identity_arguments(f.oid)), pg_get_functiondef(f.oid), s.prefix
    FROM space s JOIN pg_catalog.pg_proc f ON f.pronamespace = s.oid AND f.prokind IN ('f', 'p')
    UNION ALL
    SELECT format('type %s', t.typname), t.typtype::text, s.prefix
    FROM space s JOIN pg_catalog.pg_type t ON t.typnamespace = s.oid AND t.typtype IN ('d', 'e', 'r', 'm')
) facts ORDER BY what, fact

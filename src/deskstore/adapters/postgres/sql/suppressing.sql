-- The requesters whose tickets are kept out.

CREATE FUNCTION {schema}.find_secrets(company text, known bigint)
RETURNS TABLE (epoch bigint, secret bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT DISTINCT entered, x.secret FROM {schema}.suppression x WHERE x.company_id = company;
END $$;

CREATE FUNCTION {schema}.find_suppressions(company text, known bigint, platforms text[], digests text[])
RETURNS TABLE (epoch bigint, {suppression_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, {suppression}
    FROM unnest(platforms, digests) AS k (platform, digest)
    JOIN {schema}.suppression x ON x.company_id = company AND x.platform = k.platform AND x.digest = k.digest;
END $$;

CREATE FUNCTION {schema}.batch_of_suppressions(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, {suppression_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, {suppression} FROM {schema}.suppression x
    WHERE x.company_id = company AND (x.platform, x.digest) > (behind[1], behind[2]) ORDER BY x.platform, x.digest LIMIT wanted;
END $$;

-- Locks those that exist until the end, in the order of their names, and reads in a later statement how they stand.
CREATE FUNCTION {schema}.lock_suppressions(company text, platforms text[], digests text[])
RETURNS TABLE ({suppression_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM unnest(platforms, digests) AS k (platform, digest)
    JOIN {schema}.suppression x ON x.company_id = company AND x.platform = k.platform AND x.digest = k.digest
    ORDER BY x.platform, x.digest FOR NO KEY UPDATE OF x;
    RETURN QUERY SELECT {suppression} FROM unnest(platforms, digests) AS k (platform, digest)
    JOIN {schema}.suppression x ON x.company_id = company AND x.platform = k.platform AND x.digest = k.digest;
END $$;

-- Reads of {kind}s, each in one trip: the company is entered and the records are read by one call.

CREATE FUNCTION {schema}.find_{kind}s(company text, known bigint, {key_arrays})
RETURNS TABLE (epoch bigint, {record_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    IF cardinality({first_key}s) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    RETURN QUERY SELECT entered, {record}
    FROM unnest({key_names}) AS k ({key})
    CROSS JOIN LATERAL (SELECT * FROM {schema}.{kind} r WHERE r.company_id = company AND {same_key} OFFSET 0) r;
END $$;

CREATE FUNCTION {schema}.{kind}_heads(company text, known bigint, {key_arrays})
RETURNS TABLE (epoch bigint, {key_types}, version bigint, sha256 bytea, text_digest bytea, source_field text, source_value bigint{also_state_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    IF cardinality({first_key}s) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    RETURN QUERY SELECT entered, {key_of_r}, r.version, r.sha256, r.text_digest, r.source_field, r.source_value{also_state}
    FROM unnest({key_names}) AS k ({key})
    CROSS JOIN LATERAL (SELECT * FROM {schema}.{kind} r WHERE r.company_id = company AND {same_key} OFFSET 0) r{join_state};
END $$;

-- The keys come from the index that the filters call for, and records are joined to the few keys that are left. The statement is put together of
-- fixed fragments, since no index serves "or the parameter is null"; every value is bound.
CREATE FUNCTION {schema}.page_of_{kind}s(company text, known bigint, of_platform text, status_platforms text[], statuses text[],
    processing text, created_from bigint, created_to bigint, below_us bigint, below text[], skipped bigint, wanted integer)
RETURNS TABLE (epoch bigint, {record_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    entered bigint := {schema}.enter(company, known);
    conditions text := 'l.company_id = $1'
        || CASE WHEN of_platform IS NULL THEN '' ELSE ' AND l.platform = $2' END
        || CASE WHEN processing IS NULL THEN '' ELSE ' AND l.status = $5' END
        || CASE WHEN created_from IS NULL THEN '' ELSE ' AND l.created_us >= $6' END
        || CASE WHEN created_to IS NULL THEN '' ELSE ' AND l.created_us < $7 AND l.created_us > -9223372036854775808' END
        || CASE WHEN below_us IS NULL THEN '' ELSE ' AND (l.created_us, {key_of_l}) < ($8, {below})' END;
    lead text := CASE WHEN processing IS NULL THEN '{kind}' ELSE 'ticket_state' END;
    keys text;
BEGIN
    SELECT string_agg(format('(SELECT l.created_us, {key_of_l} FROM {literal}.%s l%s WHERE %s%s ORDER BY {order_of_l} LIMIT $10 + $11)',
            lead,
            CASE WHEN processing IS NULL OR one.status IS NULL THEN ''
                ELSE ' JOIN {literal}.{kind} t ON t.company_id = $1 AND {same_key_of_t_and_l}' END,
            conditions,
            CASE WHEN one.status IS NULL THEN ''
                ELSE format(' AND %s.status = $4[%s]', CASE WHEN processing IS NULL THEN 'l' ELSE 't' END, one.number)
                    || CASE WHEN one.platform IS NULL THEN '' ELSE format(' AND l.platform = $3[%s]', one.number) END END
        ), ' UNION ALL ')
    INTO keys
    FROM (
        SELECT u.platform, u.status, u.number FROM unnest(status_platforms, statuses) WITH ORDINALITY AS u (platform, status, number)
        UNION ALL SELECT NULL, NULL, NULL WHERE cardinality(statuses) = 0
    ) one;
    RETURN QUERY EXECUTE 'SELECT $12, {record} FROM (SELECT * FROM (' || keys || ') l ORDER BY {order_of_l} LIMIT $11 OFFSET $10) k '
        'JOIN {literal}.{kind} r ON r.company_id = $1 AND {same_key} ORDER BY k.created_us DESC, {order_of_k}'
    USING company, of_platform, status_platforms, statuses, processing, created_from, created_to, below_us, below, skipped, wanted, entered;
END $$;

CREATE FUNCTION {schema}.batch_of_{kind}s(company text, known bigint, of_platform text, status_platforms text[], statuses text[],
    processing text, created_from bigint, created_to bigint, changed_since bigint, of_requester text, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, {record_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    entered bigint := {schema}.enter(company, known);
    conditions text := 'r.company_id = $1'
        || CASE WHEN of_platform IS NULL THEN '' ELSE ' AND r.platform = $2' END
        || CASE WHEN cardinality(statuses) = 0 THEN ''
            ELSE ' AND EXISTS (SELECT FROM unnest($3, $4) AS u (platform, status) '
                'WHERE u.status = r.status AND coalesce(u.platform, r.platform) = r.platform)' END
        || CASE WHEN processing IS NULL THEN '' ELSE ' AND s.status = $5' END
        || CASE WHEN created_from IS NULL THEN '' ELSE ' AND r.created_us >= $6' END
        || CASE WHEN created_to IS NULL THEN '' ELSE ' AND r.created_us < $7 AND r.created_us > -9223372036854775808' END
        || CASE WHEN changed_since IS NULL THEN '' ELSE ' AND r.saved_us >= $8' END
        || CASE WHEN of_requester IS NULL THEN '' ELSE ' AND r.requester = $12' END
        || CASE WHEN behind IS NULL THEN '' ELSE ' AND ({key_of_r}) > ({behind})' END;
BEGIN
    RETURN QUERY EXECUTE 'SELECT $11, {record} FROM {literal}.{kind} r '
        || CASE WHEN processing IS NULL THEN '' ELSE 'JOIN {literal}.ticket_state s ON s.company_id = $1 AND {same_key_of_s_and_r} ' END
        || 'WHERE ' || conditions || ' ORDER BY {key_of_r} LIMIT $10'
    USING company, of_platform, status_platforms, statuses, processing, created_from, created_to, changed_since, behind, wanted, entered,
        of_requester;
END $$;

-- What domain.mirror.digest_of computes, without a payload leaving the database.
CREATE FUNCTION {schema}.batch_of_{kind}_digests(company text, known bigint, behind text[], anew boolean, wanted integer)
RETURNS TABLE (epoch bigint, {key_types}, version bigint, digest bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, {key_of_r}, r.version, {digest} FROM {schema}.{kind} r
    WHERE r.company_id = company AND ({key_of_r}) > ({behind_names})
    ORDER BY {key_of_r} LIMIT wanted;
END $$;

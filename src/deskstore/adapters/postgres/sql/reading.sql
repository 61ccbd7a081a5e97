-- Reads of what belongs to records, each in one trip: processing, summaries, counts, checkpoints.

CREATE FUNCTION {schema}.find_processing(company text, known bigint, platforms text[], ids text[])
RETURNS TABLE (epoch bigint, platform text, id text, {state_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    RETURN QUERY SELECT entered, s.platform, s.ticket_id, {state}
    FROM unnest(platforms, ids) AS k (platform, id)
    CROSS JOIN LATERAL (
        SELECT * FROM {schema}.ticket_state s WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id OFFSET 0
    ) s;
END $$;

CREATE FUNCTION {schema}.batch_of_processing(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, id text, {state_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, s.platform, s.ticket_id, {state} FROM {schema}.ticket_state s
    WHERE s.company_id = company AND (s.platform, s.ticket_id) > (behind[1], behind[2])
    ORDER BY s.platform, s.ticket_id LIMIT wanted;
END $$;

CREATE FUNCTION {schema}.locales(company text, known bigint, of_platform text, of_id text)
RETURNS TABLE (epoch bigint, locale text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, a.locale FROM {schema}.article a
    WHERE a.company_id = company AND a.platform = of_platform AND a.article_id = of_id ORDER BY a.locale;
END $$;

-- number 0: all summaries of the record
CREATE FUNCTION {schema}.find_summaries(company text, known bigint, kinds text[], platforms text[], ids text[], locales text[], numbers integer[])
RETURNS TABLE (epoch bigint, {summary_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    RETURN QUERY SELECT entered, {summary}
    FROM unnest(kinds, platforms, ids, locales, numbers) AS k (kind, platform, id, locale, number)
    CROSS JOIN LATERAL (
        SELECT * FROM {schema}.summary x WHERE x.company_id = company AND x.kind = k.kind AND x.platform = k.platform
            AND x.record_id = k.id AND x.locale = k.locale AND (k.number = 0 OR x.number = k.number) OFFSET 0
    ) m
    ORDER BY m.kind, m.platform, m.record_id, m.locale, m.number;
END $$;

CREATE FUNCTION {schema}.batch_of_summaries(company text, known bigint, behind text[], behind_number integer, wanted integer)
RETURNS TABLE (epoch bigint, {summary_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, {summary} FROM {schema}.summary m
    WHERE m.company_id = company
        AND (m.kind, m.platform, m.record_id, m.locale, m.number) > (behind[1], behind[2], behind[3], behind[4], behind_number)
    ORDER BY m.kind, m.platform, m.record_id, m.locale, m.number LIMIT wanted;
END $$;

-- the highest pinned one of each record, else the highest
CREATE FUNCTION {schema}.current_summaries(company text, known bigint, kinds text[], platforms text[], ids text[], locales text[])
RETURNS TABLE (epoch bigint, {summary_types})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, {summary}
    FROM unnest(kinds, platforms, ids, locales) AS k (kind, platform, id, locale)
    CROSS JOIN LATERAL (
        SELECT * FROM {schema}.summary x
        WHERE x.company_id = company AND x.kind = k.kind AND x.platform = k.platform AND x.record_id = k.id AND x.locale = k.locale
        ORDER BY x.pinned DESC, x.number DESC LIMIT 1
    ) m;
END $$;

CREATE FUNCTION {schema}.batch_of_stale_summaries(company text, known bigint, of_platform text, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, {summary_types}, text_digest bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, {summary}, coalesce(t.text_digest, a.text_digest)
    FROM (
        SELECT DISTINCT ON (x.kind, x.platform, x.record_id, x.locale) x.*
        FROM {schema}.summary x
        WHERE x.company_id = company AND (x.kind, x.platform, x.record_id, x.locale) > (behind[1], behind[2], behind[3], behind[4])
            AND x.platform = coalesce(of_platform, x.platform)
        ORDER BY x.kind, x.platform, x.record_id, x.locale, x.pinned DESC, x.number DESC
    ) m
    LEFT JOIN {schema}.ticket t
        ON m.kind = 'ticket' AND t.company_id = company AND t.platform = m.platform AND t.ticket_id = m.record_id
    LEFT JOIN {schema}.article a
        ON m.kind = 'article' AND a.company_id = company AND a.platform = m.platform AND a.article_id = m.record_id AND a.locale = m.locale
    WHERE coalesce(t.text_digest, a.text_digest) <> m.source_digest
    ORDER BY m.kind, m.platform, m.record_id, m.locale LIMIT wanted;
END $$;

CREATE FUNCTION {schema}.counts(company text, known bigint, of_part text, of_platform text)
RETURNS TABLE (epoch bigint, part text, platform text, status text, n bigint, changed_us bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY WITH found AS (
        SELECT d.part, d.platform, d.was, d.status, sum(d.n) AS n, max(d.changed_us) AS changed_us
        FROM {schema}.count_delta d
        WHERE d.company_id = company AND d.part = coalesce(of_part, d.part) AND d.platform = coalesce(of_platform, d.platform)
        GROUP BY d.part, d.platform, d.was, d.status
    )
    SELECT entered, one.part, one.platform, one.status, sum(one.n)::bigint, max(one.changed_us)
    FROM (
        SELECT f.part, f.platform, f.status, f.n, f.changed_us FROM found f WHERE f.status <> ''
        UNION ALL SELECT f.part, f.platform, f.was, -f.n, f.changed_us FROM found f WHERE f.was <> ''
    ) one
    GROUP BY one.part, one.platform, one.status;
END $$;

CREATE FUNCTION {schema}.find_checkpoints(company text, known bigint, platforms text[], streams text[])
RETURNS TABLE (epoch bigint, platform text, stream text, at text, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, c.platform, c.stream, c.cursor, c.version
    FROM unnest(platforms, streams) AS k (platform, stream)
    JOIN {schema}.checkpoint c ON c.company_id = company AND c.platform = k.platform AND c.stream = k.stream;
END $$;

CREATE FUNCTION {schema}.batch_of_checkpoints(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, stream text, at text, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, c.platform, c.stream, c.cursor, c.version FROM {schema}.checkpoint c
    WHERE c.company_id = company AND (c.platform, c.stream) > (behind[1], behind[2])
    ORDER BY c.platform, c.stream LIMIT wanted;
END $$;

-- Deletions, and what the mirror is to be told.

-- A ticket goes with its processing, and every record with its summaries.
CREATE FUNCTION {schema}.remove_records(company text, kinds text[], platforms text[], ids text[], locales text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    DELETE FROM {schema}.ticket t USING unnest(kinds, platforms, ids) AS k (kind, platform, id)
    WHERE k.kind = 'ticket' AND t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id;
    DELETE FROM {schema}.ticket_state t USING unnest(kinds, platforms, ids) AS k (kind, platform, id)
    WHERE k.kind = 'ticket' AND t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id;
    DELETE FROM {schema}.article a USING unnest(kinds, platforms, ids, locales) AS k (kind, platform, id, locale)
    WHERE k.kind = 'article' AND a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale;
    DELETE FROM {schema}.summary m USING unnest(kinds, platforms, ids, locales) AS k (kind, platform, id, locale)
    WHERE m.company_id = company AND m.kind = k.kind AND m.platform = k.platform AND m.record_id = k.id AND m.locale = k.locale;
    PERFORM {schema}.plan_as_usual();
END $$;

CREATE FUNCTION {schema}.remove_parts(company text, {thing_arrays}) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    DELETE FROM {schema}.summary m USING unnest({thing_names}) AS k ({thing})
    WHERE k.part = 'summary' AND m.company_id = company
        AND m.kind = k.kind AND m.platform = k.platform AND m.record_id = k.id AND m.locale = k.locale AND m.number = k.number;
    DELETE FROM {schema}.checkpoint c USING unnest({thing_names}) AS k ({thing})
    WHERE k.part = 'checkpoint' AND c.company_id = company AND c.platform = k.platform AND c.stream = k.id;
    DELETE FROM {schema}.suppression x USING unnest({thing_names}) AS k ({thing})
    WHERE k.part = 'suppression' AND x.company_id = company AND x.platform = k.platform AND x.digest = k.id;
    PERFORM {schema}.plan_as_usual();
END $$;

-- Called last, since all who delete in a company wait here for one another.
CREATE FUNCTION {schema}.raise_floor(company text, version bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    UPDATE {schema}.company_state s SET floor = version WHERE s.company_id = company AND s.floor < version;
END $$;

CREATE FUNCTION {schema}.owe(company text, consumers text[], {thing_arrays}, versions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO {schema}.outbox (company_id, consumer, {thing}, version)
    SELECT company, c.*, k.* FROM unnest(consumers) AS c CROSS JOIN unnest({thing_names}, versions) AS k ON CONFLICT DO NOTHING;
END $$;

-- Remembers at which versions things were deleted.
CREATE FUNCTION {schema}.bury(company text, {thing_arrays}, versions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO {schema}.tombstone AS d (company_id, {thing}, version)
    SELECT company, k.* FROM unnest({thing_names}, versions) AS k
    ON CONFLICT (company_id, {thing}) DO UPDATE SET version = greatest(d.version, excluded.version);
END $$;

CREATE FUNCTION {schema}.unbury(company text, {thing_arrays}) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    DELETE FROM {schema}.tombstone d USING unnest({thing_names}) AS k ({thing}) WHERE d.company_id = company AND {same_thing};
    PERFORM {schema}.plan_as_usual();
END $$;

CREATE FUNCTION {schema}.find_debts(company text, known bigint, told text, wanted integer)
RETURNS TABLE (epoch bigint, {thing_types}, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, {thing_of_d}, max(d.version) FROM {schema}.outbox d
    WHERE d.company_id = company AND d.consumer = told GROUP BY {thing_of_d} ORDER BY {thing_of_d} LIMIT wanted;
END $$;

CREATE FUNCTION {schema}.acknowledge(company text, told text, {thing_arrays}, versions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    DELETE FROM {schema}.outbox d USING unnest({thing_names}, versions) AS k ({thing}, version)
    WHERE d.company_id = company AND d.consumer = told AND {same_thing} AND d.version <= k.version;
END $$;

-- What domain.mirror.digest_of computes of the processing of tickets.
CREATE FUNCTION {schema}.batch_of_processing_digests(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, ticket_id text, version bigint, digest bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, s.platform, s.ticket_id, s.version, {state_digest} FROM {schema}.ticket_state s
    WHERE s.company_id = company AND (s.platform, s.ticket_id) > (behind[1], behind[2])
    ORDER BY s.platform, s.ticket_id LIMIT wanted;
END $$;

CREATE FUNCTION {schema}.remembers_deletions(company text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    RETURN EXISTS (SELECT FROM {schema}.tombstone d WHERE d.company_id = company);
END $$;

-- The versions at which those of these things were deleted last of which that is remembered.
CREATE FUNCTION {schema}.find_tombstones(company text, {thing_arrays})
RETURNS TABLE ({thing_types}, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    RETURN QUERY SELECT k.*, d.version FROM unnest({thing_names}) AS k ({thing})
    CROSS JOIN LATERAL (SELECT d.version FROM {schema}.tombstone d WHERE d.company_id = company AND {same_thing} OFFSET 0) d;
    PERFORM {schema}.plan_as_usual();
END $$;

-- The version each thing stands at, and the one at which it was deleted last; 0 and 0 for what nobody knows.
CREATE FUNCTION {schema}.find_versions(company text, known bigint, {thing_arrays})
RETURNS TABLE (epoch bigint, {thing_types}, standing bigint, buried bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := {schema}.enter(company, known);
BEGIN
    IF cardinality(ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    RETURN QUERY SELECT entered, k.*, coalesce(t.version, a.version, s.version, m.version, c.version, x.version, 0), coalesce(d.version, 0)
    FROM unnest({thing_names}) AS k ({thing})
    LEFT JOIN LATERAL (
        SELECT t.version FROM {schema}.ticket t
        WHERE k.part = 'ticket' AND t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id OFFSET 0
    ) t ON true
    LEFT JOIN LATERAL (
        SELECT a.version FROM {schema}.article a
        WHERE k.part = 'article' AND a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale OFFSET 0
    ) a ON true
    LEFT JOIN LATERAL (
        SELECT s.version FROM {schema}.ticket_state s
        WHERE k.part = 'processing' AND s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id OFFSET 0
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT m.version FROM {schema}.summary m
        WHERE k.part = 'summary' AND m.company_id = company AND m.kind = k.kind AND m.platform = k.platform
            AND m.record_id = k.id AND m.locale = k.locale AND m.number = k.number OFFSET 0
    ) m ON true
    LEFT JOIN LATERAL (
        SELECT c.version FROM {schema}.checkpoint c
        WHERE k.part = 'checkpoint' AND c.company_id = company AND c.platform = k.platform AND c.stream = k.id OFFSET 0
    ) c ON true
    LEFT JOIN LATERAL (
        SELECT x.version FROM {schema}.suppression x
        WHERE k.part = 'suppression' AND x.company_id = company AND x.platform = k.platform AND x.digest = k.id OFFSET 0
    ) x ON true
    LEFT JOIN LATERAL (
        SELECT d.version FROM {schema}.tombstone d
        WHERE d.company_id = company AND {same_thing} OFFSET 0
    ) d ON true;
    PERFORM {schema}.plan_as_usual();
END $$;

-- The first half of a commit: lock what it concerns, then, in a later statement, read what stands there.

-- Those of these requesters who are suppressed: HMAC-SHA256, as domain.suppressions.name_of computes it, under every secret there is.
CREATE FUNCTION {schema}.suppressed(company text, platforms text[], requesters text[])
RETURNS TABLE (platform text, requester text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH key AS (
        SELECT DISTINCT CASE WHEN length(x.secret) > 64 THEN sha256(x.secret) ELSE x.secret END AS bytes
        FROM {schema}.suppression x WHERE x.company_id = company
    ), pad AS MATERIALIZED (
        SELECT decode(string_agg(lpad(to_hex(p.byte # 54), 2, '0'), '' ORDER BY p.place), 'hex') AS inner_pad,
            decode(string_agg(lpad(to_hex(p.byte # 92), 2, '0'), '' ORDER BY p.place), 'hex') AS outer_pad
        FROM key k
        CROSS JOIN LATERAL (
            SELECT n.place, CASE WHEN n.place < length(k.bytes) THEN get_byte(k.bytes, n.place) ELSE 0 END AS byte FROM generate_series(0, 63) AS n (place)
        ) p
        GROUP BY k.bytes
    )
    SELECT DISTINCT u.platform, u.requester
    FROM unnest(platforms, requesters) AS u (platform, requester)
    CROSS JOIN pad p
    JOIN {schema}.suppression x ON x.company_id = company AND x.platform = u.platform AND x.digest = encode(sha256(
        p.outer_pad || sha256(p.inner_pad || convert_to(u.platform, 'UTF8') || '\x00'::bytea || convert_to(u.requester, 'UTF8'))
    ), 'hex');
END $$;

-- Always answers with at least one row: what stands of the company itself.
CREATE FUNCTION {schema}.lock_unit(company text, ticket_platforms text[], ticket_ids text[],
    article_platforms text[], article_ids text[], article_locales text[], checkpoint_platforms text[], streams text[],
    requester_platforms text[], requesters text[])
RETURNS TABLE (store text, floor bigint, state json,
    kind text, platform text, id text, locale text, version bigint, text_digest bytea, summaries integer[], summary_version bigint, {state_types_as_s})
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    locked bigint := 0;
    found bigint;
BEGIN
    IF cardinality(ticket_ids) + cardinality(article_ids) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    -- in the order of their keys, so that no two units ever wait for one another; where no ticket is, there is nothing of it either
    IF EXISTS (
        SELECT FROM unnest(ticket_platforms, ticket_ids) AS k (platform, id)
        CROSS JOIN LATERAL (
            SELECT FROM {schema}.ticket t WHERE t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id OFFSET 0
        ) t
    ) THEN
        PERFORM FROM (
            SELECT * FROM unnest(ticket_platforms, ticket_ids) AS u (platform, id) ORDER BY u.platform COLLATE "C", u.id COLLATE "C"
        ) k
        CROSS JOIN LATERAL (
            SELECT FROM {schema}.ticket_state s
            WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id FOR NO KEY UPDATE
        ) s;
        GET DIAGNOSTICS locked = ROW_COUNT;
        IF locked < cardinality(ticket_ids) THEN
            -- a copy of a ticket may have come before that of its processing
            PERFORM FROM (
                SELECT * FROM unnest(ticket_platforms, ticket_ids) AS u (platform, id) ORDER BY u.platform COLLATE "C", u.id COLLATE "C"
            ) k
            CROSS JOIN LATERAL (
                SELECT FROM {schema}.ticket t
                WHERE t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id AND NOT EXISTS (
                    SELECT FROM {schema}.ticket_state s WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id
                ) FOR NO KEY UPDATE
            ) t;
            GET DIAGNOSTICS found = ROW_COUNT;
            locked := locked + found;
        END IF;
    END IF;
    IF cardinality(article_ids) > 0 THEN
        PERFORM FROM unnest(article_platforms, article_ids, article_locales) AS k (platform, id, locale)
        JOIN {schema}.article a ON a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale
        ORDER BY a.platform, a.article_id, a.locale FOR NO KEY UPDATE OF a;
        GET DIAGNOSTICS found = ROW_COUNT;
        locked := locked + found;
    END IF;
    IF cardinality(streams) > 0 THEN
        PERFORM FROM unnest(checkpoint_platforms, streams) AS k (platform, stream)
        JOIN {schema}.checkpoint c ON c.company_id = company AND c.platform = k.platform AND c.stream = k.stream
        ORDER BY c.platform, c.stream FOR NO KEY UPDATE OF c;
        GET DIAGNOSTICS found = ROW_COUNT;
        locked := locked + found;
    END IF;
    -- a statement of its own sees what others committed while the locks were waited for
    RETURN QUERY SELECT o.id, coalesce(h.floor, 0), h.state, {no_row}
    FROM {schema}.store o LEFT JOIN {schema}.company_state h ON h.company_id = company;
    IF cardinality(requesters) > 0 AND EXISTS (SELECT FROM {schema}.suppression x WHERE x.company_id = company) THEN
        RETURN QUERY SELECT {no_company}, 'requester', r.platform, r.requester, '', 0::bigint, NULL::bytea, NULL::integer[], 0::bigint, {no_state}
        FROM {schema}.suppressed(company, requester_platforms, requesters) r;
    END IF;
    IF locked > 0 AND cardinality(ticket_ids) > 0 THEN
        RETURN QUERY SELECT {no_company}, 'ticket', t.platform, t.ticket_id, '', t.version, t.text_digest,
            m.numbers, coalesce(m.version, 0), {state}
        FROM unnest(ticket_platforms, ticket_ids) AS k (platform, id)
        CROSS JOIN LATERAL (
            SELECT * FROM {schema}.ticket t WHERE t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id OFFSET 0
        ) t
        LEFT JOIN LATERAL (
            SELECT * FROM {schema}.ticket_state s WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id OFFSET 0
        ) s ON true
        LEFT JOIN LATERAL (
            SELECT array_agg(x.number ORDER BY x.number) AS numbers, max(x.version) AS version FROM {schema}.summary x
            WHERE x.company_id = company AND x.kind = 'ticket' AND x.platform = k.platform AND x.record_id = k.id AND x.locale = ''
        ) m ON true;
    END IF;
    IF locked > 0 AND cardinality(article_ids) > 0 THEN
        RETURN QUERY SELECT {no_company}, 'article', a.platform, a.article_id, a.locale, a.version, a.text_digest,
            m.numbers, coalesce(m.version, 0), {no_state}
        FROM unnest(article_platforms, article_ids, article_locales) AS k (platform, id, locale)
        JOIN {schema}.article a ON a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale
        LEFT JOIN LATERAL (
            SELECT array_agg(x.number ORDER BY x.number) AS numbers, max(x.version) AS version FROM {schema}.summary x
            WHERE x.company_id = company AND x.kind = 'article' AND x.platform = k.platform AND x.record_id = k.id AND x.locale = k.locale
        ) m ON true;
    END IF;
    IF locked > 0 AND cardinality(streams) > 0 THEN
        RETURN QUERY SELECT {no_company}, 'checkpoint', c.platform, c.stream, '', c.version, NULL::bytea, NULL::integer[], 0::bigint, {no_state}
        FROM unnest(checkpoint_platforms, streams) AS k (platform, stream)
        JOIN {schema}.checkpoint c ON c.company_id = company AND c.platform = k.platform AND c.stream = k.stream;
    END IF;
    PERFORM {schema}.plan_as_usual();
END $$;

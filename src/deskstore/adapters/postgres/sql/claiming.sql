-- Hands tickets to a worker, leaving out those that another worker is taking: a token for each, smallest claimable_us first.

-- It writes what domain.claims.take would decide: docs/adr/0013. The last row tells of the company and of the transaction.
CREATE FUNCTION {schema}.claim(company text, of_platform text, by_worker text, tokens text[], now_us bigint, until_us bigint, again_us bigint)
RETURNS TABLE (place bigint, id text, text_digest bytea, attempts integer, version bigint, store text, state json, trace text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    taken text[];
    stands record;
BEGIN
    SELECT array_agg(l.ticket_id ORDER BY l.claimable_us, l.ticket_id) INTO taken FROM (
        SELECT s.ticket_id, s.claimable_us FROM {schema}.ticket_state s
        WHERE s.company_id = company AND s.platform = of_platform AND s.claimable_us <= now_us
        ORDER BY s.claimable_us, s.ticket_id LIMIT cardinality(tokens) FOR NO KEY UPDATE SKIP LOCKED
    ) l;
    -- these tickets are held now; statements of their own see what was committed until they were
    SELECT o.id, h.state, coalesce(h.floor, 0) AS floor INTO stands
    FROM {schema}.store o LEFT JOIN {schema}.company_state h ON h.company_id = company;
    RETURN QUERY
    UPDATE {schema}.ticket_state s SET status = 'processing', attempts = least(s.attempts, {most_attempts} - 1) + 1, error = NULL,
        worker = by_worker, token = tokens[k.place], lease_us = until_us, claim_digest = t.text_digest,
        claimable_us = again_us, changed_us = now_us, version = greatest(s.version + 1, stands.floor + 1, now_us)
    FROM unnest(taken) WITH ORDINALITY AS k (id, place)
    JOIN {schema}.ticket t ON t.company_id = company AND t.platform = of_platform AND t.ticket_id = k.id
    WHERE s.company_id = company AND s.platform = of_platform AND s.ticket_id = k.id
    RETURNING k.place - 1, s.ticket_id, t.text_digest, s.attempts, s.version, NULL::text, NULL::json, NULL::text;
    RETURN QUERY SELECT NULL::bigint, NULL, NULL::bytea, NULL::integer, NULL::bigint,
        stands.id, stands.state, pg_current_xact_id_if_assigned() || ' ' || pg_current_wal_insert_lsn();
END $$;

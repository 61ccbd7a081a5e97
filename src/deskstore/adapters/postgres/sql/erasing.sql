-- Erasing a company, alone in it: refuse everybody, delete in batches, forget that it was.

-- From here on nobody reads or writes the company; the line that stays names its hash only.
CREATE FUNCTION {schema}.forbid(company text, now_us bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO {schema}.erasure (company_hash, epoch, erased_us, counts)
    SELECT {schema}.company_hash(company), s.epoch + 1, now_us, json_build_object(
        'tickets', (SELECT count(*) FROM {schema}.ticket r WHERE r.company_id = company),
        'articles', (SELECT count(*) FROM {schema}.article r WHERE r.company_id = company),
        'summaries', (SELECT count(*) FROM {schema}.summary m WHERE m.company_id = company),
        'processing', (SELECT count(*) FROM {schema}.ticket_state r WHERE r.company_id = company),
        'claims', (SELECT count(*) FROM {schema}.ticket_state r WHERE r.company_id = company AND r.token IS NOT NULL),
        'checkpoints', (SELECT count(*) FROM {schema}.checkpoint r WHERE r.company_id = company),
        'suppressions', (SELECT count(*) FROM {schema}.suppression r WHERE r.company_id = company))
    FROM {schema}.company_state s WHERE s.company_id = company AND NOT s.erased;
    UPDATE {schema}.company_state s SET erased = true, epoch = s.epoch + 1,
        state = (s.state::jsonb || jsonb_build_object('erased', true, 'epoch', s.epoch + 1))::json
    WHERE s.company_id = company AND NOT s.erased;
END $$;

-- The line that stays of the last company of that name.
CREATE FUNCTION {schema}.last_erasure(company text) RETURNS TABLE (hash bytea, epoch bigint, erased_us bigint, counts json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('app.current_company_id', company, true);
    RETURN QUERY SELECT e.company_hash, e.epoch, e.erased_us, e.counts FROM {schema}.erasure e
    WHERE e.company_hash = {schema}.company_hash(company) ORDER BY e.epoch DESC LIMIT 1;
END $$;

-- Deletes about so many rows of the company, and says whether any were left to delete.
CREATE FUNCTION {schema}.erase_some(company text, batch integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    one text;
    gone bigint;
BEGIN
    FOREACH one IN ARRAY
        ARRAY['summary', 'checkpoint', 'outbox', 'tombstone', 'article', 'ticket_state', 'ticket', 'suppression', 'count_delta']
    LOOP
        EXECUTE format('DELETE FROM {literal}.%I WHERE company_id = $1 AND ctid = ANY (ARRAY('
            'SELECT ctid FROM {literal}.%I WHERE company_id = $1 LIMIT $2))', one, one) USING company, batch;
        GET DIAGNOSTICS gone = ROW_COUNT;
        IF gone > 0 THEN
            RETURN true;
        END IF;
    END LOOP;
    DELETE FROM {schema}.company_state s WHERE s.company_id = company;
    DELETE FROM {schema}.company c WHERE c.company_id = company;
    RETURN false;
END $$;

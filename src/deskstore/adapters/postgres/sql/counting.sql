-- Counts are differences that each statement appends, so that no two writers ever wait for one another over a counter.

-- A key of its own for each difference, at the end of the index: the time in microseconds, then at random.
CREATE FUNCTION {schema}.delta_key() RETURNS uuid LANGUAGE sql VOLATILE SECURITY INVOKER AS $$
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0') || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid
$$;

-- One row for each count instead of many; whoever comes second leaves it to the first.
CREATE FUNCTION {schema}.fold_counts(company text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('deskstore counts ' || company, 0)) THEN
        RETURN;
    END IF;
    WITH taken AS (
        DELETE FROM {schema}.count_delta d WHERE d.company_id = company RETURNING d.part, d.platform, d.was, d.status, d.n, d.changed_us
    )
    INSERT INTO {schema}.count_delta (company_id, id, part, platform, was, status, n, changed_us)
    SELECT company, {schema}.delta_key(), t.part, t.platform, t.was, t.status, sum(t.n), max(t.changed_us)
    FROM taken t GROUP BY t.part, t.platform, t.was, t.status;
END $$;

-- Called by each statement that appended differences: about one in a hundred folds them, so that there never are many, whoever writes.
CREATE FUNCTION {schema}.fold_now_and_then() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    company text := nullif(current_setting('app.current_company_id', true), '');
BEGIN
    IF company IS NOT NULL AND random() < 0.01 THEN
        PERFORM {schema}.fold_counts(company);
    END IF;
END $$;

CREATE FUNCTION {schema}.count_states() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    -- without a company there are no rows to count, on a connection that never had one and on one that had
    moment bigint := nullif(current_setting('app.now_us', true), '')::bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT c.company_id, {schema}.delta_key(), 'ticket', c.platform, '', c.status, count(*), moment
        FROM came c GROUP BY c.company_id, c.platform, c.status;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT w.company_id, {schema}.delta_key(), 'ticket', w.platform, w.status, '', count(*), moment
        FROM went w GROUP BY w.company_id, w.platform, w.status;
    ELSE
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT moved.company_id, {schema}.delta_key(), 'ticket', moved.platform, moved.was, moved.status, count(*), moment
        FROM (
            SELECT one.company_id, one.platform, max(one.was) AS was, max(one.status) AS status
            FROM (
                SELECT c.company_id, c.platform, c.ticket_id, NULL AS was, c.status FROM came c
                UNION ALL SELECT w.company_id, w.platform, w.ticket_id, w.status, NULL FROM went w
            ) one
            GROUP BY one.company_id, one.platform, one.ticket_id HAVING max(one.was) <> max(one.status)
        ) moved
        GROUP BY moved.company_id, moved.platform, moved.was, moved.status;
    END IF;
    IF FOUND THEN
        PERFORM {schema}.fold_now_and_then();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON {schema}.ticket_state REFERENCING NEW TABLE AS came
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_states();
CREATE TRIGGER count_updated AFTER UPDATE ON {schema}.ticket_state REFERENCING OLD TABLE AS went NEW TABLE AS came
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_states();
CREATE TRIGGER count_deleted AFTER DELETE ON {schema}.ticket_state REFERENCING OLD TABLE AS went
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_states();

CREATE FUNCTION {schema}.count_articles() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT c.company_id, {schema}.delta_key(), 'article', c.platform, '', 'kept', count(*), 0 FROM came c GROUP BY c.company_id, c.platform;
    ELSE
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT w.company_id, {schema}.delta_key(), 'article', w.platform, 'kept', '', count(*), 0 FROM went w GROUP BY w.company_id, w.platform;
    END IF;
    IF FOUND THEN
        PERFORM {schema}.fold_now_and_then();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON {schema}.article REFERENCING NEW TABLE AS came
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_articles();
CREATE TRIGGER count_deleted AFTER DELETE ON {schema}.article REFERENCING OLD TABLE AS went
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_articles();

-- Counts are differences that each statement appends, so that no two writers ever wait for one another over a counter.

CREATE FUNCTION {schema}.count_states() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    -- without a company there are no rows to count, on a connection that never had one and on one that had
    moment bigint := nullif(current_setting('app.now_us', true), '')::bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, status, n, changed_us)
        SELECT c.company_id, gen_random_uuid(), 'ticket', c.platform, c.status, count(*), moment FROM came c GROUP BY c.company_id, c.platform, c.status;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, status, n, changed_us)
        SELECT c.company_id, gen_random_uuid(), 'ticket', c.platform, c.status, -count(*), moment FROM went c GROUP BY c.company_id, c.platform, c.status;
    ELSE
        -- a ticket whose status stays cancels itself out; those that change places are counted, though their sum is nothing
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, status, n, changed_us)
        SELECT moved.company_id, gen_random_uuid(), 'ticket', moved.platform, moved.status, sum(moved.n), moment
        FROM (
            SELECT one.company_id, one.platform, one.status, sum(one.n) AS n
            FROM (
                SELECT c.company_id, c.platform, c.ticket_id, c.status, 1 AS n FROM came c
                UNION ALL SELECT w.company_id, w.platform, w.ticket_id, w.status, -1 FROM went w
            ) one
            GROUP BY one.company_id, one.platform, one.ticket_id, one.status HAVING sum(one.n) <> 0
        ) moved
        GROUP BY moved.company_id, moved.platform, moved.status;
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
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, status, n, changed_us)
        SELECT c.company_id, gen_random_uuid(), 'article', c.platform, '', count(*), 0 FROM came c GROUP BY c.company_id, c.platform;
    ELSE
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, status, n, changed_us)
        SELECT c.company_id, gen_random_uuid(), 'article', c.platform, '', -count(*), 0 FROM went c GROUP BY c.company_id, c.platform;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON {schema}.article REFERENCING NEW TABLE AS came
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_articles();
CREATE TRIGGER count_deleted AFTER DELETE ON {schema}.article REFERENCING OLD TABLE AS went
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_articles();

-- One row for each count instead of many; whoever comes second leaves it to the first.
CREATE FUNCTION {schema}.fold_counts(company text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    folded bigint;
BEGIN
    PERFORM set_config('app.current_company_id', company, true);
    IF NOT pg_try_advisory_xact_lock(hashtextextended('deskstore counts ' || company, 0)) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM {schema}.count_delta d WHERE d.company_id = company RETURNING d.part, d.platform, d.status, d.n, d.changed_us
    ), summed AS (
        INSERT INTO {schema}.count_delta (company_id, id, part, platform, status, n, changed_us)
        SELECT company, gen_random_uuid(), t.part, t.platform, t.status, sum(t.n), max(t.changed_us) FROM taken t GROUP BY t.part, t.platform, t.status
    )
    SELECT count(*) INTO folded FROM taken;
    RETURN folded;
END $$;

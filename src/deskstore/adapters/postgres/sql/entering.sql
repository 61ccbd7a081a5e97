-- Who may go in: a company is named for one transaction, and what its state forbids is refused.
-- DS001: erased; DS002: lives in another store, or is on its way there; DS004: somebody else was faster; DS005: not known any more

CREATE FUNCTION {schema}.company_lock(company text) RETURNS bigint
LANGUAGE sql IMMUTABLE SECURITY INVOKER AS $$ SELECT hashtextextended('deskstore ' || company, 0) $$;

-- Held while copies of another store are applied: shared, or alone by who applies deletions.
CREATE FUNCTION {schema}.copies_lock(company text) RETURNS bigint
LANGUAGE sql IMMUTABLE SECURITY INVOKER AS $$ SELECT hashtextextended('deskstore ' || company, 1) $$;

CREATE FUNCTION {schema}.company_hash(company text) RETURNS bytea
LANGUAGE sql IMMUTABLE SECURITY INVOKER AS $$ SELECT sha256(convert_to(company, 'UTF8')) $$;

-- known: the epoch in which the caller saw the company, 0 when it has not seen it yet; of who wants it only as long as it lives here,
-- that number subtracted from -1
CREATE FUNCTION {schema}.enter(company text, known bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    stands record;
    seen bigint := CASE WHEN known < 0 THEN -1 - known ELSE known END;
BEGIN
    PERFORM set_config('app.current_company_id', company, true);
    SELECT s.epoch, s.born, s.erased, s.is_home, s.state INTO stands FROM {schema}.company_state s WHERE s.company_id = company;
    IF stands.epoch IS NULL THEN
        IF seen = 0 THEN
            RETURN 0;
        ELSIF EXISTS (SELECT FROM {schema}.erasure e WHERE e.company_hash = {schema}.company_hash(company) AND e.epoch > seen) THEN
            RAISE EXCEPTION USING errcode = 'DS001', message = 'erased';
        END IF;
        RAISE EXCEPTION USING errcode = 'DS005', message = 'not known any more';
    ELSIF stands.erased OR seen > 0 AND seen < stands.born THEN
        RAISE EXCEPTION USING errcode = 'DS001', message = 'erased';
    ELSIF known < 0 AND NOT stands.is_home THEN
        RAISE EXCEPTION USING errcode = 'DS002', message = 'moved', detail = stands.state::text;
    END IF;
    RETURN stands.epoch;
END $$;

-- Sent together with BEGIN, in the one kind of message that takes no parameters: the company travels as the hex of its UTF-8.
-- purpose: 'write' as the primary, 'write alone' likewise, with nobody else in the company, 'copy' what another store decided, 'bury' likewise
-- what it deleted, or 'alone', whatever stands there
CREATE FUNCTION {schema}.bind(company_hex text, known bigint, purpose text, now_us bigint, lock_ms integer, statement_ms integer, idle_ms integer)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    company text := convert_from(decode(company_hex, 'hex'), 'UTF8');
    stands record;
BEGIN
    PERFORM set_config('app.current_company_id', company, true),
            set_config('app.now_us', now_us::text, true),
            set_config('lock_timeout', lock_ms::text, true),
            set_config('statement_timeout', statement_ms::text, true),
            set_config('idle_in_transaction_session_timeout', idle_ms::text, true);
    IF purpose = 'alone' THEN
        PERFORM pg_advisory_xact_lock({schema}.company_lock(company));
        RETURN;
    END IF;
    IF purpose = 'write alone' THEN
        PERFORM pg_advisory_xact_lock({schema}.company_lock(company));
    ELSE
        PERFORM pg_advisory_xact_lock_shared({schema}.company_lock(company));
    END IF;
    IF purpose = 'bury' THEN
        -- where nothing stands there is no row to lock: an older copy on its way here would not see the deletion, nor be seen by it
        PERFORM pg_advisory_xact_lock({schema}.copies_lock(company));
    ELSIF purpose = 'copy' THEN
        PERFORM pg_advisory_xact_lock_shared({schema}.copies_lock(company));
    END IF;
    -- a statement after the locks: one that waits for them would go on to see the state from before the wait
    PERFORM {schema}.enter(company, known);
    IF purpose IN ('copy', 'bury') THEN
        RETURN;
    END IF;
    SELECT s.state, s.primary_store, s.swapping_to, o.id AS store INTO stands
    FROM {schema}.store o LEFT JOIN {schema}.company_state s ON s.company_id = company;
    IF stands.primary_store <> stands.store OR stands.swapping_to IS NOT NULL THEN
        RAISE EXCEPTION USING errcode = 'DS002', message = 'moved', detail = stands.state::text;
    END IF;
END $$;

CREATE FUNCTION {schema}.find_state(company text)
RETURNS TABLE (state json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('app.current_company_id', company, true);
    RETURN QUERY SELECT s.state FROM {schema}.company_state s WHERE s.company_id = company;
END $$;

-- The epoch in which a company of that name was erased last; 0: never.
CREATE FUNCTION {schema}.erased_epoch(company text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    RETURN (SELECT coalesce(max(e.epoch), 0) FROM {schema}.erasure e WHERE e.company_hash = {schema}.company_hash(company));
END $$;

-- The company's first place in this database, in an epoch above all in which one of that name was erased; says in which.
CREATE FUNCTION {schema}.register(company text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    began bigint;
BEGIN
    INSERT INTO {schema}.company (company_id) VALUES (company) ON CONFLICT DO NOTHING;
    INSERT INTO {schema}.company_state (company_id, state, primary_store, is_home, epoch, born, erased, floor)
    SELECT company, json_build_object('primary', o.id, 'mirror_status', 'none', 'epoch', e.epoch + 1), o.id, true, e.epoch + 1, e.epoch + 1,
        false, 0
    FROM {schema}.store o, {schema}.erased_epoch(company) AS e (epoch)
    ON CONFLICT DO NOTHING;
    SELECT s.epoch INTO began FROM {schema}.company_state s WHERE s.company_id = company;
    RETURN began;
END $$;

-- Called alone in the company: sets where it lives, without looking at what it was; what nobody has to be told any more is forgotten.
CREATE FUNCTION {schema}.put_state(company text, wanted json, consumers text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    epoch_is bigint := (wanted->>'epoch')::bigint;
BEGIN
    PERFORM {schema}.register(company);
    UPDATE {schema}.company_state s SET state = wanted, primary_store = wanted->>'primary', swapping_to = wanted->>'swapping_to',
        is_home = EXISTS (SELECT FROM {schema}.store o WHERE o.id = wanted->>'primary'), epoch = epoch_is, born = least(s.born, epoch_is), erased = (wanted->>'erased')::boolean
    WHERE s.company_id = company;
    DELETE FROM {schema}.outbox d WHERE d.company_id = company AND d.consumer <> ALL (consumers);
    IF cardinality(consumers) = 0 THEN
        DELETE FROM {schema}.tombstone d WHERE d.company_id = company;
    END IF;
END $$;

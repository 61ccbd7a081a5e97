-- Made by `python -m tests.postgres.freezing`; once it is released, never changed again.

CREATE TABLE "{schema}".article (
	company_id TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	article_id TEXT COLLATE "C" NOT NULL, 
	locale TEXT COLLATE "C" NOT NULL, 
	version BIGINT NOT NULL, 
	created_us BIGINT NOT NULL, 
	saved_us BIGINT NOT NULL, 
	subject TEXT, 
	status TEXT COLLATE "C", 
	priority TEXT, 
	requester TEXT, 
	updated_us BIGINT, 
	source_field TEXT, 
	source_value BIGINT, 
	text_digest BYTEA NOT NULL, 
	sha256 BYTEA NOT NULL, 
	payload JSON NOT NULL, 
	CONSTRAINT article_pkey PRIMARY KEY (company_id, platform, article_id, locale), 
	CONSTRAINT article_names_a_company CHECK (company_id <> '')
);

CREATE INDEX article_by_status ON "{schema}".article (company_id, status, created_us DESC, platform DESC, article_id DESC, locale DESC);

CREATE INDEX article_page ON "{schema}".article (company_id, created_us DESC, platform DESC, article_id DESC, locale DESC);

CREATE TABLE "{schema}".checkpoint (
	company_id TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	stream TEXT COLLATE "C" NOT NULL, 
	cursor TEXT NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT checkpoint_pkey PRIMARY KEY (company_id, platform, stream), 
	CONSTRAINT checkpoint_names_a_company CHECK (company_id <> '')
);

CREATE TABLE "{schema}".company (
	company_id TEXT COLLATE "C" NOT NULL, 
	CONSTRAINT company_pkey PRIMARY KEY (company_id), 
	CONSTRAINT company_names_a_company CHECK (company_id <> '')
);

CREATE TABLE "{schema}".company_state (
	company_id TEXT COLLATE "C" NOT NULL, 
	state JSON NOT NULL, 
	primary_store TEXT COLLATE "C" NOT NULL, 
	is_home BOOLEAN NOT NULL, 
	epoch BIGINT NOT NULL, 
	born BIGINT NOT NULL, 
	swapping_to TEXT COLLATE "C", 
	erased BOOLEAN NOT NULL, 
	floor BIGINT NOT NULL, 
	CONSTRAINT company_state_pkey PRIMARY KEY (company_id), 
	CONSTRAINT company_state_names_a_company CHECK (company_id <> '')
);

CREATE TABLE "{schema}".count_delta (
	company_id TEXT COLLATE "C" NOT NULL, 
	id UUID NOT NULL, 
	part TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	was TEXT COLLATE "C" NOT NULL, 
	status TEXT COLLATE "C" NOT NULL, 
	n BIGINT NOT NULL, 
	changed_us BIGINT NOT NULL, 
	CONSTRAINT count_delta_pkey PRIMARY KEY (company_id, id), 
	CONSTRAINT count_delta_names_a_company CHECK (company_id <> '')
);

CREATE TABLE "{schema}".erasure (
	company_hash BYTEA NOT NULL, 
	epoch BIGINT NOT NULL, 
	erased_us BIGINT NOT NULL, 
	counts JSON NOT NULL, 
	CONSTRAINT erasure_pkey PRIMARY KEY (company_hash, epoch)
);

CREATE TABLE "{schema}".outbox (
	company_id TEXT COLLATE "C" NOT NULL, 
	consumer TEXT COLLATE "C" NOT NULL, 
	part TEXT COLLATE "C" NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	id TEXT COLLATE "C" NOT NULL, 
	locale TEXT COLLATE "C" NOT NULL, 
	number INTEGER NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT outbox_pkey PRIMARY KEY (company_id, consumer, part, kind, platform, id, locale, number, version), 
	CONSTRAINT outbox_names_a_company CHECK (company_id <> '')
);

CREATE TABLE "{schema}".store (
	id TEXT COLLATE "C" NOT NULL, 
	PRIMARY KEY (id)
);

CREATE TABLE "{schema}".summary (
	company_id TEXT COLLATE "C" NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	record_id TEXT COLLATE "C" NOT NULL, 
	locale TEXT COLLATE "C" NOT NULL, 
	number INTEGER NOT NULL, 
	content JSON NOT NULL, 
	model TEXT, 
	prompt_id TEXT, 
	parameters JSON NOT NULL, 
	tokens BIGINT, 
	cost DOUBLE PRECISION, 
	source_digest BYTEA NOT NULL, 
	pinned BOOLEAN NOT NULL, 
	created_us BIGINT NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT summary_pkey PRIMARY KEY (company_id, kind, platform, record_id, locale, number), 
	CONSTRAINT summary_names_a_company CHECK (company_id <> '')
);

CREATE TABLE "{schema}".suppression (
	company_id TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	digest TEXT COLLATE "C" NOT NULL, 
	secret BYTEA NOT NULL, 
	created_us BIGINT NOT NULL, 
	tickets BIGINT NOT NULL, 
	summaries BIGINT NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT suppression_pkey PRIMARY KEY (company_id, platform, digest), 
	CONSTRAINT suppression_names_a_company CHECK (company_id <> '')
);

CREATE TABLE "{schema}".ticket (
	company_id TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	ticket_id TEXT COLLATE "C" NOT NULL, 
	version BIGINT NOT NULL, 
	created_us BIGINT NOT NULL, 
	saved_us BIGINT NOT NULL, 
	subject TEXT, 
	status TEXT COLLATE "C", 
	priority TEXT, 
	requester TEXT, 
	updated_us BIGINT, 
	source_field TEXT, 
	source_value BIGINT, 
	text_digest BYTEA NOT NULL, 
	sha256 BYTEA NOT NULL, 
	payload JSON NOT NULL, 
	CONSTRAINT ticket_pkey PRIMARY KEY (company_id, platform, ticket_id), 
	CONSTRAINT ticket_names_a_company CHECK (company_id <> '')
);

CREATE INDEX ticket_by_status ON "{schema}".ticket (company_id, status, created_us DESC, platform DESC, ticket_id DESC);

CREATE INDEX ticket_page ON "{schema}".ticket (company_id, created_us DESC, platform DESC, ticket_id DESC);

CREATE TABLE "{schema}".ticket_state (
	company_id TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	ticket_id TEXT COLLATE "C" NOT NULL, 
	created_us BIGINT NOT NULL, 
	status TEXT COLLATE "C" NOT NULL, 
	attempts INTEGER NOT NULL, 
	error TEXT, 
	worker TEXT, 
	token TEXT, 
	lease_us BIGINT, 
	claim_digest BYTEA, 
	claimable_us BIGINT, 
	changed_us BIGINT NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT ticket_state_pkey PRIMARY KEY (company_id, platform, ticket_id), 
	CONSTRAINT ticket_state_names_a_company CHECK (company_id <> '')
)
 WITH (fillfactor = 80);

CREATE INDEX ticket_state_by_status ON "{schema}".ticket_state (company_id, status, created_us DESC, platform DESC, ticket_id DESC);

CREATE INDEX ticket_state_claimable ON "{schema}".ticket_state (company_id, platform, claimable_us, ticket_id) WHERE claimable_us IS NOT NULL;

CREATE TABLE "{schema}".tombstone (
	company_id TEXT COLLATE "C" NOT NULL, 
	part TEXT COLLATE "C" NOT NULL, 
	kind TEXT COLLATE "C" NOT NULL, 
	platform TEXT COLLATE "C" NOT NULL, 
	id TEXT COLLATE "C" NOT NULL, 
	locale TEXT COLLATE "C" NOT NULL, 
	number INTEGER NOT NULL, 
	version BIGINT NOT NULL, 
	CONSTRAINT tombstone_pkey PRIMARY KEY (company_id, part, kind, platform, id, locale, number), 
	CONSTRAINT tombstone_names_a_company CHECK (company_id <> '')
);

-- lz4 where the server was built with it: it writes in two fifths of pglz's time, and reads in a fifth.

DO $$
DECLARE
    one text;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = 'default_toast_compression' AND 'lz4' = ANY (s.enumvals)) THEN
        FOREACH one IN ARRAY ARRAY['ticket', 'article'] LOOP
            EXECUTE pg_catalog.format('ALTER TABLE "{schema}".%I ALTER COLUMN payload SET COMPRESSION lz4', one);
        END LOOP;
    END IF;
END $$;

-- How statements are planned that are given many names.

-- From here on, and at the latest until the end of the transaction, statements are planned anew, each for what it is given. While a company is
-- brought in nobody analyses its tables, so plans that were made when they were empty stay in use, and go through all of its rows for each name.
-- With this, and with each row looked up in a subquery that OFFSET 0 keeps from being joined in another order, every name costs one look into
-- one index.
CREATE FUNCTION "{schema}".look_up_each() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
END $$;

-- Behind what was looked up statements are planned as anywhere else: one that writes is given a megabyte at a time, of which a plan of its own
-- would hold several copies.
CREATE FUNCTION "{schema}".plan_as_usual() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', 'auto', true);
END $$;

-- Who may go in: a company is named for one transaction, and what its state forbids is refused.
-- DS001: erased; DS002: lives in another store, or is on its way there; DS004: somebody else was faster; DS005: not known any more

CREATE FUNCTION "{schema}".company_lock(company text) RETURNS bigint
LANGUAGE sql IMMUTABLE SECURITY INVOKER AS $$ SELECT hashtextextended('deskstore ' || company, 0) $$;

-- Held while copies of another store are applied: shared, or alone by who applies deletions.
CREATE FUNCTION "{schema}".copies_lock(company text) RETURNS bigint
LANGUAGE sql IMMUTABLE SECURITY INVOKER AS $$ SELECT hashtextextended('deskstore ' || company, 1) $$;

CREATE FUNCTION "{schema}".company_hash(company text) RETURNS bytea
LANGUAGE sql IMMUTABLE SECURITY INVOKER AS $$ SELECT sha256(convert_to(company, 'UTF8')) $$;

-- known: the epoch in which the caller saw the company, 0 when it has not seen it yet; of who wants it only as long as it lives here,
-- that number subtracted from -1
CREATE FUNCTION "{schema}".enter(company text, known bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    stands record;
    seen bigint := CASE WHEN known < 0 THEN -1 - known ELSE known END;
BEGIN
    PERFORM set_config('app.current_company_id', company, true);
    SELECT s.epoch, s.born, s.erased, s.is_home, s.state INTO stands FROM "{schema}".company_state s WHERE s.company_id = company;
    IF stands.epoch IS NULL THEN
        IF seen = 0 THEN
            RETURN 0;
        ELSIF EXISTS (SELECT FROM "{schema}".erasure e WHERE e.company_hash = "{schema}".company_hash(company) AND e.epoch > seen) THEN
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
CREATE FUNCTION "{schema}".bind(company_hex text, known bigint, purpose text, now_us bigint, lock_ms integer, statement_ms integer, idle_ms integer)
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
        PERFORM pg_advisory_xact_lock("{schema}".company_lock(company));
        RETURN;
    END IF;
    IF purpose = 'write alone' THEN
        PERFORM pg_advisory_xact_lock("{schema}".company_lock(company));
    ELSE
        PERFORM pg_advisory_xact_lock_shared("{schema}".company_lock(company));
    END IF;
    IF purpose = 'bury' THEN
        -- where nothing stands there is no row to lock: an older copy on its way here would not see the deletion, nor be seen by it
        PERFORM pg_advisory_xact_lock("{schema}".copies_lock(company));
    ELSIF purpose = 'copy' THEN
        PERFORM pg_advisory_xact_lock_shared("{schema}".copies_lock(company));
    END IF;
    -- a statement after the locks: one that waits for them would go on to see the state from before the wait
    PERFORM "{schema}".enter(company, known);
    IF purpose IN ('copy', 'bury') THEN
        RETURN;
    END IF;
    SELECT s.state, s.primary_store, s.swapping_to, o.id AS store INTO stands
    FROM "{schema}".store o LEFT JOIN "{schema}".company_state s ON s.company_id = company;
    IF stands.primary_store <> stands.store OR stands.swapping_to IS NOT NULL THEN
        RAISE EXCEPTION USING errcode = 'DS002', message = 'moved', detail = stands.state::text;
    END IF;
END $$;

CREATE FUNCTION "{schema}".find_state(company text)
RETURNS TABLE (state json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('app.current_company_id', company, true);
    RETURN QUERY SELECT s.state FROM "{schema}".company_state s WHERE s.company_id = company;
END $$;

-- The epoch in which a company of that name was erased last; 0: never.
CREATE FUNCTION "{schema}".erased_epoch(company text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    RETURN (SELECT coalesce(max(e.epoch), 0) FROM "{schema}".erasure e WHERE e.company_hash = "{schema}".company_hash(company));
END $$;

-- The company's first place in this database, in an epoch above all in which one of that name was erased; says in which.
CREATE FUNCTION "{schema}".register(company text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    began bigint;
BEGIN
    INSERT INTO "{schema}".company (company_id) VALUES (company) ON CONFLICT DO NOTHING;
    INSERT INTO "{schema}".company_state (company_id, state, primary_store, is_home, epoch, born, erased, floor)
    SELECT company, json_build_object('primary', o.id, 'mirror_status', 'none', 'epoch', e.epoch + 1), o.id, true, e.epoch + 1, e.epoch + 1,
        false, 0
    FROM "{schema}".store o, "{schema}".erased_epoch(company) AS e (epoch)
    ON CONFLICT DO NOTHING;
    SELECT s.epoch INTO began FROM "{schema}".company_state s WHERE s.company_id = company;
    RETURN began;
END $$;

-- Called alone in the company: sets where it lives, without looking at what it was; what nobody has to be told any more is forgotten.
CREATE FUNCTION "{schema}".put_state(company text, wanted json, consumers text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    epoch_is bigint := (wanted->>'epoch')::bigint;
BEGIN
    PERFORM "{schema}".register(company);
    UPDATE "{schema}".company_state s SET state = wanted, primary_store = wanted->>'primary', swapping_to = wanted->>'swapping_to',
        is_home = EXISTS (SELECT FROM "{schema}".store o WHERE o.id = wanted->>'primary'), epoch = epoch_is, born = least(s.born, epoch_is), erased = (wanted->>'erased')::boolean
    WHERE s.company_id = company;
    DELETE FROM "{schema}".outbox d WHERE d.company_id = company AND d.consumer <> ALL (consumers);
    IF cardinality(consumers) = 0 THEN
        DELETE FROM "{schema}".tombstone d WHERE d.company_id = company;
    END IF;
END $$;

-- Reads of tickets, each in one trip: the company is entered and the records are read by one call.

CREATE FUNCTION "{schema}".find_tickets(company text, known bigint, platforms text[], ticket_ids text[])
RETURNS TABLE (epoch bigint, platform text, ticket_id text, version bigint, created_us bigint, saved_us bigint, subject text, status text, priority text, requester text, updated_us bigint, source_field text, source_value bigint, text_digest bytea, sha256 bytea, payload json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    IF cardinality(platforms) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT entered, r.platform, r.ticket_id, r.version, r.created_us, r.saved_us, r.subject, r.status, r.priority, r.requester, r.updated_us, r.source_field, r.source_value, r.text_digest, r.sha256, r.payload
    FROM unnest(platforms, ticket_ids) AS k (platform, ticket_id)
    CROSS JOIN LATERAL (SELECT * FROM "{schema}".ticket r WHERE r.company_id = company AND r.platform = k.platform AND r.ticket_id = k.ticket_id OFFSET 0) r;
END $$;

CREATE FUNCTION "{schema}".ticket_heads(company text, known bigint, platforms text[], ticket_ids text[])
RETURNS TABLE (epoch bigint, platform text, ticket_id text, version bigint, sha256 bytea, text_digest bytea, source_field text, source_value bigint, s_status text, s_attempts integer, s_error text, s_worker text, s_token text, s_lease_us bigint, s_claim_digest bytea, s_claimable_us bigint, s_changed_us bigint, s_version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    IF cardinality(platforms) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT entered, r.platform, r.ticket_id, r.version, r.sha256, r.text_digest, r.source_field, r.source_value, s.status, s.attempts, s.error, s.worker, s.token, s.lease_us, s.claim_digest, s.claimable_us, s.changed_us, s.version AS s_version
    FROM unnest(platforms, ticket_ids) AS k (platform, ticket_id)
    CROSS JOIN LATERAL (SELECT * FROM "{schema}".ticket r WHERE r.company_id = company AND r.platform = k.platform AND r.ticket_id = k.ticket_id OFFSET 0) r
    LEFT JOIN LATERAL (
        SELECT * FROM "{schema}".ticket_state s WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.ticket_id OFFSET 0
    ) s ON true;
END $$;

-- The keys come from the index that the filters call for, and records are joined to the few keys that are left. The statement is put together of
-- fixed fragments, since no index serves "or the parameter is null"; every value is bound.
CREATE FUNCTION "{schema}".page_of_tickets(company text, known bigint, of_platform text, status_platforms text[], statuses text[],
    processing text, created_from bigint, created_to bigint, below_us bigint, below text[], skipped bigint, wanted integer)
RETURNS TABLE (epoch bigint, platform text, ticket_id text, version bigint, created_us bigint, saved_us bigint, subject text, status text, priority text, requester text, updated_us bigint, source_field text, source_value bigint, text_digest bytea, sha256 bytea, payload json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    entered bigint := "{schema}".enter(company, known);
    conditions text := 'l.company_id = $1'
        || CASE WHEN of_platform IS NULL THEN '' ELSE ' AND l.platform = $2' END
        || CASE WHEN processing IS NULL THEN '' ELSE ' AND l.status = $5' END
        || CASE WHEN created_from IS NULL THEN '' ELSE ' AND l.created_us >= $6' END
        || CASE WHEN created_to IS NULL THEN '' ELSE ' AND l.created_us < $7 AND l.created_us > -9223372036854775808' END
        || CASE WHEN below_us IS NULL THEN '' ELSE ' AND (l.created_us, l.platform, l.ticket_id) < ($8, $9[1], $9[2])' END;
    lead text := CASE WHEN processing IS NULL THEN 'ticket' ELSE 'ticket_state' END;
    keys text;
BEGIN
    SELECT string_agg(format('(SELECT l.created_us, l.platform, l.ticket_id FROM "{schema}".%s l%s WHERE %s%s ORDER BY l.created_us DESC, l.platform DESC, l.ticket_id DESC LIMIT $10 + $11)',
            lead,
            CASE WHEN processing IS NULL OR one.status IS NULL THEN ''
                ELSE ' JOIN "{schema}".ticket t ON t.company_id = $1 AND t.platform = l.platform AND t.ticket_id = l.ticket_id' END,
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
    RETURN QUERY EXECUTE 'SELECT $12, r.platform, r.ticket_id, r.version, r.created_us, r.saved_us, r.subject, r.status, r.priority, r.requester, r.updated_us, r.source_field, r.source_value, r.text_digest, r.sha256, r.payload FROM (SELECT * FROM (' || keys || ') l ORDER BY l.created_us DESC, l.platform DESC, l.ticket_id DESC LIMIT $11 OFFSET $10) k '
        'JOIN "{schema}".ticket r ON r.company_id = $1 AND r.platform = k.platform AND r.ticket_id = k.ticket_id ORDER BY k.created_us DESC, k.platform DESC, k.ticket_id DESC'
    USING company, of_platform, status_platforms, statuses, processing, created_from, created_to, below_us, below, skipped, wanted, entered;
END $$;

CREATE FUNCTION "{schema}".batch_of_tickets(company text, known bigint, of_platform text, status_platforms text[], statuses text[],
    processing text, created_from bigint, created_to bigint, changed_since bigint, of_requester text, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, ticket_id text, version bigint, created_us bigint, saved_us bigint, subject text, status text, priority text, requester text, updated_us bigint, source_field text, source_value bigint, text_digest bytea, sha256 bytea, payload json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    entered bigint := "{schema}".enter(company, known);
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
        || CASE WHEN behind IS NULL THEN '' ELSE ' AND (r.platform, r.ticket_id) > ($9[1], $9[2])' END;
BEGIN
    RETURN QUERY EXECUTE 'SELECT $11, r.platform, r.ticket_id, r.version, r.created_us, r.saved_us, r.subject, r.status, r.priority, r.requester, r.updated_us, r.source_field, r.source_value, r.text_digest, r.sha256, r.payload FROM "{schema}".ticket r '
        || CASE WHEN processing IS NULL THEN '' ELSE 'JOIN "{schema}".ticket_state s ON s.company_id = $1 AND s.platform = r.platform AND s.ticket_id = r.ticket_id ' END
        || 'WHERE ' || conditions || ' ORDER BY r.platform, r.ticket_id LIMIT $10'
    USING company, of_platform, status_platforms, statuses, processing, created_from, created_to, changed_since, behind, wanted, entered,
        of_requester;
END $$;

-- What domain.mirror.digest_of computes, without a payload leaving the database.
CREATE FUNCTION "{schema}".batch_of_ticket_digests(company text, known bigint, behind text[], anew boolean, wanted integer)
RETURNS TABLE (epoch bigint, platform text, ticket_id text, version bigint, digest bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, r.platform, r.ticket_id, r.version, sha256(coalesce(convert_to('ticket', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('ticket', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.platform, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.ticket_id, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('0', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(CASE WHEN anew THEN encode(sha256(convert_to(r.payload::text, 'UTF8')), 'hex') ELSE encode(r.sha256, 'hex') END, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.subject, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.status, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.priority, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.requester, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(nullif(r.created_us, -9223372036854775808)::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.updated_us::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.source_field, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.source_value::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(encode(sha256(r.text_digest), 'hex'), 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.saved_us::text, 'UTF8'), '\xff'::bytea)) FROM "{schema}".ticket r
    WHERE r.company_id = company AND (r.platform, r.ticket_id) > (behind[1], behind[2])
    ORDER BY r.platform, r.ticket_id LIMIT wanted;
END $$;

-- Reads of articles, each in one trip: the company is entered and the records are read by one call.

CREATE FUNCTION "{schema}".find_articles(company text, known bigint, platforms text[], article_ids text[], locales text[])
RETURNS TABLE (epoch bigint, platform text, article_id text, locale text, version bigint, created_us bigint, saved_us bigint, subject text, status text, priority text, requester text, updated_us bigint, source_field text, source_value bigint, text_digest bytea, sha256 bytea, payload json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    IF cardinality(platforms) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT entered, r.platform, r.article_id, r.locale, r.version, r.created_us, r.saved_us, r.subject, r.status, r.priority, r.requester, r.updated_us, r.source_field, r.source_value, r.text_digest, r.sha256, r.payload
    FROM unnest(platforms, article_ids, locales) AS k (platform, article_id, locale)
    CROSS JOIN LATERAL (SELECT * FROM "{schema}".article r WHERE r.company_id = company AND r.platform = k.platform AND r.article_id = k.article_id AND r.locale = k.locale OFFSET 0) r;
END $$;

CREATE FUNCTION "{schema}".article_heads(company text, known bigint, platforms text[], article_ids text[], locales text[])
RETURNS TABLE (epoch bigint, platform text, article_id text, locale text, version bigint, sha256 bytea, text_digest bytea, source_field text, source_value bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    IF cardinality(platforms) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT entered, r.platform, r.article_id, r.locale, r.version, r.sha256, r.text_digest, r.source_field, r.source_value
    FROM unnest(platforms, article_ids, locales) AS k (platform, article_id, locale)
    CROSS JOIN LATERAL (SELECT * FROM "{schema}".article r WHERE r.company_id = company AND r.platform = k.platform AND r.article_id = k.article_id AND r.locale = k.locale OFFSET 0) r;
END $$;

-- The keys come from the index that the filters call for, and records are joined to the few keys that are left. The statement is put together of
-- fixed fragments, since no index serves "or the parameter is null"; every value is bound.
CREATE FUNCTION "{schema}".page_of_articles(company text, known bigint, of_platform text, status_platforms text[], statuses text[],
    processing text, created_from bigint, created_to bigint, below_us bigint, below text[], skipped bigint, wanted integer)
RETURNS TABLE (epoch bigint, platform text, article_id text, locale text, version bigint, created_us bigint, saved_us bigint, subject text, status text, priority text, requester text, updated_us bigint, source_field text, source_value bigint, text_digest bytea, sha256 bytea, payload json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    entered bigint := "{schema}".enter(company, known);
    conditions text := 'l.company_id = $1'
        || CASE WHEN of_platform IS NULL THEN '' ELSE ' AND l.platform = $2' END
        || CASE WHEN processing IS NULL THEN '' ELSE ' AND l.status = $5' END
        || CASE WHEN created_from IS NULL THEN '' ELSE ' AND l.created_us >= $6' END
        || CASE WHEN created_to IS NULL THEN '' ELSE ' AND l.created_us < $7 AND l.created_us > -9223372036854775808' END
        || CASE WHEN below_us IS NULL THEN '' ELSE ' AND (l.created_us, l.platform, l.article_id, l.locale) < ($8, $9[1], $9[2], $9[3])' END;
    lead text := CASE WHEN processing IS NULL THEN 'article' ELSE 'ticket_state' END;
    keys text;
BEGIN
    SELECT string_agg(format('(SELECT l.created_us, l.platform, l.article_id, l.locale FROM "{schema}".%s l%s WHERE %s%s ORDER BY l.created_us DESC, l.platform DESC, l.article_id DESC, l.locale DESC LIMIT $10 + $11)',
            lead,
            CASE WHEN processing IS NULL OR one.status IS NULL THEN ''
                ELSE ' JOIN "{schema}".article t ON t.company_id = $1 AND t.platform = l.platform AND t.article_id = l.article_id AND t.locale = l.locale' END,
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
    RETURN QUERY EXECUTE 'SELECT $12, r.platform, r.article_id, r.locale, r.version, r.created_us, r.saved_us, r.subject, r.status, r.priority, r.requester, r.updated_us, r.source_field, r.source_value, r.text_digest, r.sha256, r.payload FROM (SELECT * FROM (' || keys || ') l ORDER BY l.created_us DESC, l.platform DESC, l.article_id DESC, l.locale DESC LIMIT $11 OFFSET $10) k '
        'JOIN "{schema}".article r ON r.company_id = $1 AND r.platform = k.platform AND r.article_id = k.article_id AND r.locale = k.locale ORDER BY k.created_us DESC, k.platform DESC, k.article_id DESC, k.locale DESC'
    USING company, of_platform, status_platforms, statuses, processing, created_from, created_to, below_us, below, skipped, wanted, entered;
END $$;

CREATE FUNCTION "{schema}".batch_of_articles(company text, known bigint, of_platform text, status_platforms text[], statuses text[],
    processing text, created_from bigint, created_to bigint, changed_since bigint, of_requester text, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, article_id text, locale text, version bigint, created_us bigint, saved_us bigint, subject text, status text, priority text, requester text, updated_us bigint, source_field text, source_value bigint, text_digest bytea, sha256 bytea, payload json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    entered bigint := "{schema}".enter(company, known);
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
        || CASE WHEN behind IS NULL THEN '' ELSE ' AND (r.platform, r.article_id, r.locale) > ($9[1], $9[2], $9[3])' END;
BEGIN
    RETURN QUERY EXECUTE 'SELECT $11, r.platform, r.article_id, r.locale, r.version, r.created_us, r.saved_us, r.subject, r.status, r.priority, r.requester, r.updated_us, r.source_field, r.source_value, r.text_digest, r.sha256, r.payload FROM "{schema}".article r '
        || CASE WHEN processing IS NULL THEN '' ELSE 'JOIN "{schema}".ticket_state s ON s.company_id = $1 AND s.platform = r.platform AND s.article_id = r.article_id AND s.locale = r.locale ' END
        || 'WHERE ' || conditions || ' ORDER BY r.platform, r.article_id, r.locale LIMIT $10'
    USING company, of_platform, status_platforms, statuses, processing, created_from, created_to, changed_since, behind, wanted, entered,
        of_requester;
END $$;

-- What domain.mirror.digest_of computes, without a payload leaving the database.
CREATE FUNCTION "{schema}".batch_of_article_digests(company text, known bigint, behind text[], anew boolean, wanted integer)
RETURNS TABLE (epoch bigint, platform text, article_id text, locale text, version bigint, digest bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, r.platform, r.article_id, r.locale, r.version, sha256(coalesce(convert_to('article', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('article', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.platform, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.article_id, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.locale, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('0', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(CASE WHEN anew THEN encode(sha256(convert_to(r.payload::text, 'UTF8')), 'hex') ELSE encode(r.sha256, 'hex') END, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.subject, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.status, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.priority, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.requester, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(nullif(r.created_us, -9223372036854775808)::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.updated_us::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.source_field, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.source_value::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(encode(sha256(r.text_digest), 'hex'), 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(r.saved_us::text, 'UTF8'), '\xff'::bytea)) FROM "{schema}".article r
    WHERE r.company_id = company AND (r.platform, r.article_id, r.locale) > (behind[1], behind[2], behind[3])
    ORDER BY r.platform, r.article_id, r.locale LIMIT wanted;
END $$;

-- Reads of what belongs to records, each in one trip: processing, summaries, counts, checkpoints.

CREATE FUNCTION "{schema}".find_processing(company text, known bigint, platforms text[], ids text[])
RETURNS TABLE (epoch bigint, platform text, id text, status text, attempts integer, error text, worker text, token text, lease_us bigint, claim_digest bytea, claimable_us bigint, changed_us bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT entered, s.platform, s.ticket_id, s.status, s.attempts, s.error, s.worker, s.token, s.lease_us, s.claim_digest, s.claimable_us, s.changed_us, s.version
    FROM unnest(platforms, ids) AS k (platform, id)
    CROSS JOIN LATERAL (
        SELECT * FROM "{schema}".ticket_state s WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id OFFSET 0
    ) s;
END $$;

CREATE FUNCTION "{schema}".batch_of_processing(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, id text, status text, attempts integer, error text, worker text, token text, lease_us bigint, claim_digest bytea, claimable_us bigint, changed_us bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, s.platform, s.ticket_id, s.status, s.attempts, s.error, s.worker, s.token, s.lease_us, s.claim_digest, s.claimable_us, s.changed_us, s.version FROM "{schema}".ticket_state s
    WHERE s.company_id = company AND (s.platform, s.ticket_id) > (behind[1], behind[2])
    ORDER BY s.platform, s.ticket_id LIMIT wanted;
END $$;

CREATE FUNCTION "{schema}".locales(company text, known bigint, of_platform text, of_id text)
RETURNS TABLE (epoch bigint, locale text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, a.locale FROM "{schema}".article a
    WHERE a.company_id = company AND a.platform = of_platform AND a.article_id = of_id ORDER BY a.locale;
END $$;

-- number 0: all summaries of the record
CREATE FUNCTION "{schema}".find_summaries(company text, known bigint, kinds text[], platforms text[], ids text[], locales text[], numbers integer[])
RETURNS TABLE (epoch bigint, kind text, platform text, record_id text, locale text, number integer, content json, model text, prompt_id text, parameters json, tokens bigint, cost double precision, source_digest bytea, pinned boolean, created_us bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT entered, m.kind, m.platform, m.record_id, m.locale, m.number, m.content, m.model, m.prompt_id, m.parameters, m.tokens, m.cost, m.source_digest, m.pinned, m.created_us, m.version
    FROM unnest(kinds, platforms, ids, locales, numbers) AS k (kind, platform, id, locale, number)
    CROSS JOIN LATERAL (
        SELECT * FROM "{schema}".summary x WHERE x.company_id = company AND x.kind = k.kind AND x.platform = k.platform
            AND x.record_id = k.id AND x.locale = k.locale AND (k.number = 0 OR x.number = k.number) OFFSET 0
    ) m
    ORDER BY m.kind, m.platform, m.record_id, m.locale, m.number;
END $$;

CREATE FUNCTION "{schema}".batch_of_summaries(company text, known bigint, behind text[], behind_number integer, wanted integer)
RETURNS TABLE (epoch bigint, kind text, platform text, record_id text, locale text, number integer, content json, model text, prompt_id text, parameters json, tokens bigint, cost double precision, source_digest bytea, pinned boolean, created_us bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, m.kind, m.platform, m.record_id, m.locale, m.number, m.content, m.model, m.prompt_id, m.parameters, m.tokens, m.cost, m.source_digest, m.pinned, m.created_us, m.version FROM "{schema}".summary m
    WHERE m.company_id = company
        AND (m.kind, m.platform, m.record_id, m.locale, m.number) > (behind[1], behind[2], behind[3], behind[4], behind_number)
    ORDER BY m.kind, m.platform, m.record_id, m.locale, m.number LIMIT wanted;
END $$;

-- the highest pinned one of each record, else the highest
CREATE FUNCTION "{schema}".current_summaries(company text, known bigint, kinds text[], platforms text[], ids text[], locales text[])
RETURNS TABLE (epoch bigint, kind text, platform text, record_id text, locale text, number integer, content json, model text, prompt_id text, parameters json, tokens bigint, cost double precision, source_digest bytea, pinned boolean, created_us bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, m.kind, m.platform, m.record_id, m.locale, m.number, m.content, m.model, m.prompt_id, m.parameters, m.tokens, m.cost, m.source_digest, m.pinned, m.created_us, m.version
    FROM unnest(kinds, platforms, ids, locales) AS k (kind, platform, id, locale)
    CROSS JOIN LATERAL (
        SELECT * FROM "{schema}".summary x
        WHERE x.company_id = company AND x.kind = k.kind AND x.platform = k.platform AND x.record_id = k.id AND x.locale = k.locale
        ORDER BY x.pinned DESC, x.number DESC LIMIT 1
    ) m;
END $$;

CREATE FUNCTION "{schema}".batch_of_stale_summaries(company text, known bigint, of_platform text, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, kind text, platform text, record_id text, locale text, number integer, content json, model text, prompt_id text, parameters json, tokens bigint, cost double precision, source_digest bytea, pinned boolean, created_us bigint, version bigint, text_digest bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, m.kind, m.platform, m.record_id, m.locale, m.number, m.content, m.model, m.prompt_id, m.parameters, m.tokens, m.cost, m.source_digest, m.pinned, m.created_us, m.version, coalesce(t.text_digest, a.text_digest)
    FROM (
        SELECT DISTINCT ON (x.kind, x.platform, x.record_id, x.locale) x.*
        FROM "{schema}".summary x
        WHERE x.company_id = company AND (x.kind, x.platform, x.record_id, x.locale) > (behind[1], behind[2], behind[3], behind[4])
            AND x.platform = coalesce(of_platform, x.platform)
        ORDER BY x.kind, x.platform, x.record_id, x.locale, x.pinned DESC, x.number DESC
    ) m
    LEFT JOIN "{schema}".ticket t
        ON m.kind = 'ticket' AND t.company_id = company AND t.platform = m.platform AND t.ticket_id = m.record_id
    LEFT JOIN "{schema}".article a
        ON m.kind = 'article' AND a.company_id = company AND a.platform = m.platform AND a.article_id = m.record_id AND a.locale = m.locale
    WHERE coalesce(t.text_digest, a.text_digest) <> m.source_digest
    ORDER BY m.kind, m.platform, m.record_id, m.locale LIMIT wanted;
END $$;

CREATE FUNCTION "{schema}".counts(company text, known bigint, of_part text, of_platform text)
RETURNS TABLE (epoch bigint, part text, platform text, status text, n bigint, changed_us bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY WITH found AS (
        SELECT d.part, d.platform, d.was, d.status, sum(d.n) AS n, max(d.changed_us) AS changed_us
        FROM "{schema}".count_delta d
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

CREATE FUNCTION "{schema}".find_checkpoints(company text, known bigint, platforms text[], streams text[])
RETURNS TABLE (epoch bigint, platform text, stream text, at text, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, c.platform, c.stream, c.cursor, c.version
    FROM unnest(platforms, streams) AS k (platform, stream)
    JOIN "{schema}".checkpoint c ON c.company_id = company AND c.platform = k.platform AND c.stream = k.stream;
END $$;

CREATE FUNCTION "{schema}".batch_of_checkpoints(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, stream text, at text, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, c.platform, c.stream, c.cursor, c.version FROM "{schema}".checkpoint c
    WHERE c.company_id = company AND (c.platform, c.stream) > (behind[1], behind[2])
    ORDER BY c.platform, c.stream LIMIT wanted;
END $$;

-- The first half of a commit: lock what it concerns, then, in a later statement, read what stands there.

-- Those of these requesters who are suppressed: HMAC-SHA256, as domain.suppressions.name_of computes it, under every secret there is.
CREATE FUNCTION "{schema}".suppressed(company text, platforms text[], requesters text[])
RETURNS TABLE (platform text, requester text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH key AS (
        SELECT DISTINCT CASE WHEN length(x.secret) > 64 THEN sha256(x.secret) ELSE x.secret END AS bytes
        FROM "{schema}".suppression x WHERE x.company_id = company
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
    JOIN "{schema}".suppression x ON x.company_id = company AND x.platform = u.platform AND x.digest = encode(sha256(
        p.outer_pad || sha256(p.inner_pad || convert_to(u.platform, 'UTF8') || '\x00'::bytea || convert_to(u.requester, 'UTF8'))
    ), 'hex');
END $$;

-- Always answers with at least one row: what stands of the company itself.
CREATE FUNCTION "{schema}".lock_unit(company text, ticket_platforms text[], ticket_ids text[],
    article_platforms text[], article_ids text[], article_locales text[], checkpoint_platforms text[], streams text[],
    requester_platforms text[], requesters text[])
RETURNS TABLE (store text, floor bigint, state json,
    kind text, platform text, id text, locale text, version bigint, text_digest bytea, summaries integer[], summary_version bigint, s_status text, s_attempts integer, s_error text, s_worker text, s_token text, s_lease_us bigint, s_claim_digest bytea, s_claimable_us bigint, s_changed_us bigint, s_version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    locked bigint := 0;
    found bigint;
BEGIN
    IF cardinality(ticket_ids) + cardinality(article_ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    -- in the order of their keys, so that no two units ever wait for one another; where no ticket is, there is nothing of it either
    IF EXISTS (
        SELECT FROM unnest(ticket_platforms, ticket_ids) AS k (platform, id)
        CROSS JOIN LATERAL (
            SELECT FROM "{schema}".ticket t WHERE t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id OFFSET 0
        ) t
    ) THEN
        PERFORM FROM (
            SELECT * FROM unnest(ticket_platforms, ticket_ids) AS u (platform, id) ORDER BY u.platform COLLATE "C", u.id COLLATE "C"
        ) k
        CROSS JOIN LATERAL (
            SELECT FROM "{schema}".ticket_state s
            WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id FOR NO KEY UPDATE
        ) s;
        GET DIAGNOSTICS locked = ROW_COUNT;
        IF locked < cardinality(ticket_ids) THEN
            -- a copy of a ticket may have come before that of its processing
            PERFORM FROM (
                SELECT * FROM unnest(ticket_platforms, ticket_ids) AS u (platform, id) ORDER BY u.platform COLLATE "C", u.id COLLATE "C"
            ) k
            CROSS JOIN LATERAL (
                SELECT FROM "{schema}".ticket t
                WHERE t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id AND NOT EXISTS (
                    SELECT FROM "{schema}".ticket_state s WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id
                ) FOR NO KEY UPDATE
            ) t;
            GET DIAGNOSTICS found = ROW_COUNT;
            locked := locked + found;
        END IF;
    END IF;
    IF cardinality(article_ids) > 0 THEN
        PERFORM FROM unnest(article_platforms, article_ids, article_locales) AS k (platform, id, locale)
        JOIN "{schema}".article a ON a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale
        ORDER BY a.platform, a.article_id, a.locale FOR NO KEY UPDATE OF a;
        GET DIAGNOSTICS found = ROW_COUNT;
        locked := locked + found;
    END IF;
    IF cardinality(streams) > 0 THEN
        PERFORM FROM unnest(checkpoint_platforms, streams) AS k (platform, stream)
        JOIN "{schema}".checkpoint c ON c.company_id = company AND c.platform = k.platform AND c.stream = k.stream
        ORDER BY c.platform, c.stream FOR NO KEY UPDATE OF c;
        GET DIAGNOSTICS found = ROW_COUNT;
        locked := locked + found;
    END IF;
    -- a statement of its own sees what others committed while the locks were waited for
    RETURN QUERY SELECT o.id, coalesce(h.floor, 0), h.state, NULL, NULL, NULL, NULL, NULL::bigint, NULL::bytea, NULL::integer[], NULL::bigint, NULL::text, NULL::integer, NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint
    FROM "{schema}".store o LEFT JOIN "{schema}".company_state h ON h.company_id = company;
    IF cardinality(requesters) > 0 AND EXISTS (SELECT FROM "{schema}".suppression x WHERE x.company_id = company) THEN
        RETURN QUERY SELECT NULL, NULL::bigint, NULL::json, 'requester', r.platform, r.requester, '', 0::bigint, NULL::bytea, NULL::integer[], 0::bigint, NULL::text, NULL::integer, NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint
        FROM "{schema}".suppressed(company, requester_platforms, requesters) r;
    END IF;
    IF locked > 0 AND cardinality(ticket_ids) > 0 THEN
        RETURN QUERY SELECT NULL, NULL::bigint, NULL::json, 'ticket', t.platform, t.ticket_id, '', t.version, t.text_digest,
            m.numbers, coalesce(m.version, 0), s.status, s.attempts, s.error, s.worker, s.token, s.lease_us, s.claim_digest, s.claimable_us, s.changed_us, s.version
        FROM unnest(ticket_platforms, ticket_ids) AS k (platform, id)
        CROSS JOIN LATERAL (
            SELECT * FROM "{schema}".ticket t WHERE t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id OFFSET 0
        ) t
        LEFT JOIN LATERAL (
            SELECT * FROM "{schema}".ticket_state s WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id OFFSET 0
        ) s ON true
        LEFT JOIN LATERAL (
            SELECT array_agg(x.number ORDER BY x.number) AS numbers, max(x.version) AS version FROM "{schema}".summary x
            WHERE x.company_id = company AND x.kind = 'ticket' AND x.platform = k.platform AND x.record_id = k.id AND x.locale = ''
        ) m ON true;
    END IF;
    IF locked > 0 AND cardinality(article_ids) > 0 THEN
        RETURN QUERY SELECT NULL, NULL::bigint, NULL::json, 'article', a.platform, a.article_id, a.locale, a.version, a.text_digest,
            m.numbers, coalesce(m.version, 0), NULL::text, NULL::integer, NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint
        FROM unnest(article_platforms, article_ids, article_locales) AS k (platform, id, locale)
        JOIN "{schema}".article a ON a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale
        LEFT JOIN LATERAL (
            SELECT array_agg(x.number ORDER BY x.number) AS numbers, max(x.version) AS version FROM "{schema}".summary x
            WHERE x.company_id = company AND x.kind = 'article' AND x.platform = k.platform AND x.record_id = k.id AND x.locale = k.locale
        ) m ON true;
    END IF;
    IF locked > 0 AND cardinality(streams) > 0 THEN
        RETURN QUERY SELECT NULL, NULL::bigint, NULL::json, 'checkpoint', c.platform, c.stream, '', c.version, NULL::bytea, NULL::integer[], 0::bigint, NULL::text, NULL::integer, NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::bytea, NULL::bigint, NULL::bigint, NULL::bigint
        FROM unnest(checkpoint_platforms, streams) AS k (platform, stream)
        JOIN "{schema}".checkpoint c ON c.company_id = company AND c.platform = k.platform AND c.stream = k.stream;
    END IF;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The second half of a commit, ticket part: what was decided is written down, a row an element of the arrays.

-- Rows that did not exist when the unit was decided. Another unit may have added one meanwhile, which violates the key (ON CONFLICT would look
-- into it twice for each row), or deleted one of the same name at a version that this unit did not know of: then it must decide anew.
-- Elements are taken by their places, since unnest() would write every column of every row down once more before it is inserted.
CREATE FUNCTION "{schema}".add_ticket(company text, known_floor bigint, platform_of text[], ticket_id_of text[], version_of bigint[], created_us_of bigint[], saved_us_of bigint[], subject_of text[], status_of text[], priority_of text[], requester_of text[], updated_us_of bigint[], source_field_of text[], source_value_of bigint[], text_digest_of bytea[], sha256_of bytea[], payload_of json[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".ticket (company_id, platform, ticket_id, version, created_us, saved_us, subject, status, priority, requester, updated_us, source_field, source_value, text_digest, sha256, payload)
    SELECT company, platform_of[k.place], ticket_id_of[k.place], version_of[k.place], created_us_of[k.place], saved_us_of[k.place], subject_of[k.place], status_of[k.place], priority_of[k.place], requester_of[k.place], updated_us_of[k.place], source_field_of[k.place], source_value_of[k.place], text_digest_of[k.place], sha256_of[k.place], payload_of[k.place] FROM generate_series(1, cardinality(platform_of)) AS k (place);
    IF known_floor < (SELECT s.floor FROM "{schema}".company_state s WHERE s.company_id = company) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
END $$;

-- Rows that this unit has locked.
CREATE FUNCTION "{schema}".change_ticket(company text, platform_of text[], ticket_id_of text[], version_of bigint[], created_us_of bigint[], saved_us_of bigint[], subject_of text[], status_of text[], priority_of text[], requester_of text[], updated_us_of bigint[], source_field_of text[], source_value_of bigint[], text_digest_of bytea[], sha256_of bytea[], payload_of json[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    came bigint;
BEGIN
    IF cardinality(platform_of) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    UPDATE "{schema}".ticket r SET version = k.version, created_us = k.created_us, saved_us = k.saved_us, subject = k.subject, status = k.status, priority = k.priority, requester = k.requester, updated_us = k.updated_us, source_field = k.source_field, source_value = k.source_value, text_digest = k.text_digest, sha256 = k.sha256, payload = k.payload
    FROM unnest(platform_of, ticket_id_of, version_of, created_us_of, saved_us_of, subject_of, status_of, priority_of, requester_of, updated_us_of, source_field_of, source_value_of, text_digest_of, sha256_of, payload_of) AS k (platform, ticket_id, version, created_us, saved_us, subject, status, priority, requester, updated_us, source_field, source_value, text_digest, sha256, payload) WHERE r.company_id = company AND r.platform = k.platform AND r.ticket_id = k.ticket_id;
    GET DIAGNOSTICS came = ROW_COUNT;
    IF came <> cardinality(platform_of) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
    UPDATE "{schema}".ticket_state s SET created_us = k.created_us
    FROM unnest(platform_of, ticket_id_of, created_us_of) AS k (platform, ticket_id, created_us)
    WHERE s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.ticket_id AND s.created_us <> k.created_us;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The second half of a commit, ticket_state part: what was decided is written down, a row an element of the arrays.

-- Rows that did not exist when the unit was decided. Another unit may have added one meanwhile, which violates the key (ON CONFLICT would look
-- into it twice for each row), or deleted one of the same name at a version that this unit did not know of: then it must decide anew.
-- Elements are taken by their places, since unnest() would write every column of every row down once more before it is inserted.
CREATE FUNCTION "{schema}".add_ticket_state(company text, known_floor bigint, platform_of text[], ticket_id_of text[], created_us_of bigint[], status_of text[], attempts_of integer[], error_of text[], worker_of text[], token_of text[], lease_us_of bigint[], claim_digest_of bytea[], claimable_us_of bigint[], changed_us_of bigint[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".ticket_state (company_id, platform, ticket_id, created_us, status, attempts, error, worker, token, lease_us, claim_digest, claimable_us, changed_us, version)
    SELECT company, platform_of[k.place], ticket_id_of[k.place], coalesce(created_us_of[k.place], (SELECT t.created_us FROM "{schema}".ticket t WHERE t.company_id = company AND t.platform = platform_of[k.place] AND t.ticket_id = ticket_id_of[k.place])), status_of[k.place], attempts_of[k.place], error_of[k.place], worker_of[k.place], token_of[k.place], lease_us_of[k.place], claim_digest_of[k.place], claimable_us_of[k.place], changed_us_of[k.place], version_of[k.place] FROM generate_series(1, cardinality(platform_of)) AS k (place);
    IF known_floor < (SELECT s.floor FROM "{schema}".company_state s WHERE s.company_id = company) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
END $$;

-- Rows that this unit has locked.
CREATE FUNCTION "{schema}".change_ticket_state(company text, platform_of text[], ticket_id_of text[], created_us_of bigint[], status_of text[], attempts_of integer[], error_of text[], worker_of text[], token_of text[], lease_us_of bigint[], claim_digest_of bytea[], claimable_us_of bigint[], changed_us_of bigint[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    came bigint;
BEGIN
    IF cardinality(platform_of) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    UPDATE "{schema}".ticket_state r SET status = k.status, attempts = k.attempts, error = k.error, worker = k.worker, token = k.token, lease_us = k.lease_us, claim_digest = k.claim_digest, claimable_us = k.claimable_us, changed_us = k.changed_us, version = k.version
    FROM unnest(platform_of, ticket_id_of, created_us_of, status_of, attempts_of, error_of, worker_of, token_of, lease_us_of, claim_digest_of, claimable_us_of, changed_us_of, version_of) AS k (platform, ticket_id, created_us, status, attempts, error, worker, token, lease_us, claim_digest, claimable_us, changed_us, version) WHERE r.company_id = company AND r.platform = k.platform AND r.ticket_id = k.ticket_id;
    GET DIAGNOSTICS came = ROW_COUNT;
    IF came <> cardinality(platform_of) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The second half of a commit, article part: what was decided is written down, a row an element of the arrays.

-- Rows that did not exist when the unit was decided. Another unit may have added one meanwhile, which violates the key (ON CONFLICT would look
-- into it twice for each row), or deleted one of the same name at a version that this unit did not know of: then it must decide anew.
-- Elements are taken by their places, since unnest() would write every column of every row down once more before it is inserted.
CREATE FUNCTION "{schema}".add_article(company text, known_floor bigint, platform_of text[], article_id_of text[], locale_of text[], version_of bigint[], created_us_of bigint[], saved_us_of bigint[], subject_of text[], status_of text[], priority_of text[], requester_of text[], updated_us_of bigint[], source_field_of text[], source_value_of bigint[], text_digest_of bytea[], sha256_of bytea[], payload_of json[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".article (company_id, platform, article_id, locale, version, created_us, saved_us, subject, status, priority, requester, updated_us, source_field, source_value, text_digest, sha256, payload)
    SELECT company, platform_of[k.place], article_id_of[k.place], locale_of[k.place], version_of[k.place], created_us_of[k.place], saved_us_of[k.place], subject_of[k.place], status_of[k.place], priority_of[k.place], requester_of[k.place], updated_us_of[k.place], source_field_of[k.place], source_value_of[k.place], text_digest_of[k.place], sha256_of[k.place], payload_of[k.place] FROM generate_series(1, cardinality(platform_of)) AS k (place);
    IF known_floor < (SELECT s.floor FROM "{schema}".company_state s WHERE s.company_id = company) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
END $$;

-- Rows that this unit has locked.
CREATE FUNCTION "{schema}".change_article(company text, platform_of text[], article_id_of text[], locale_of text[], version_of bigint[], created_us_of bigint[], saved_us_of bigint[], subject_of text[], status_of text[], priority_of text[], requester_of text[], updated_us_of bigint[], source_field_of text[], source_value_of bigint[], text_digest_of bytea[], sha256_of bytea[], payload_of json[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    came bigint;
BEGIN
    IF cardinality(platform_of) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    UPDATE "{schema}".article r SET version = k.version, created_us = k.created_us, saved_us = k.saved_us, subject = k.subject, status = k.status, priority = k.priority, requester = k.requester, updated_us = k.updated_us, source_field = k.source_field, source_value = k.source_value, text_digest = k.text_digest, sha256 = k.sha256, payload = k.payload
    FROM unnest(platform_of, article_id_of, locale_of, version_of, created_us_of, saved_us_of, subject_of, status_of, priority_of, requester_of, updated_us_of, source_field_of, source_value_of, text_digest_of, sha256_of, payload_of) AS k (platform, article_id, locale, version, created_us, saved_us, subject, status, priority, requester, updated_us, source_field, source_value, text_digest, sha256, payload) WHERE r.company_id = company AND r.platform = k.platform AND r.article_id = k.article_id AND r.locale = k.locale;
    GET DIAGNOSTICS came = ROW_COUNT;
    IF came <> cardinality(platform_of) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The second half of a commit, summary part: what was decided is written down, a row an element of the arrays.

-- Rows that did not exist when the unit was decided. Another unit may have added one meanwhile, which violates the key (ON CONFLICT would look
-- into it twice for each row), or deleted one of the same name at a version that this unit did not know of: then it must decide anew.
-- Elements are taken by their places, since unnest() would write every column of every row down once more before it is inserted.
CREATE FUNCTION "{schema}".add_summary(company text, known_floor bigint, kind_of text[], platform_of text[], record_id_of text[], locale_of text[], number_of integer[], content_of json[], model_of text[], prompt_id_of text[], parameters_of json[], tokens_of bigint[], cost_of double precision[], source_digest_of bytea[], pinned_of boolean[], created_us_of bigint[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".summary (company_id, kind, platform, record_id, locale, number, content, model, prompt_id, parameters, tokens, cost, source_digest, pinned, created_us, version)
    SELECT company, kind_of[k.place], platform_of[k.place], record_id_of[k.place], locale_of[k.place], number_of[k.place], content_of[k.place], model_of[k.place], prompt_id_of[k.place], parameters_of[k.place], tokens_of[k.place], cost_of[k.place], source_digest_of[k.place], pinned_of[k.place], created_us_of[k.place], version_of[k.place] FROM generate_series(1, cardinality(kind_of)) AS k (place);
    IF known_floor < (SELECT s.floor FROM "{schema}".company_state s WHERE s.company_id = company) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
END $$;

-- Rows that this unit has locked.
CREATE FUNCTION "{schema}".change_summary(company text, kind_of text[], platform_of text[], record_id_of text[], locale_of text[], number_of integer[], content_of json[], model_of text[], prompt_id_of text[], parameters_of json[], tokens_of bigint[], cost_of double precision[], source_digest_of bytea[], pinned_of boolean[], created_us_of bigint[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    came bigint;
BEGIN
    IF cardinality(kind_of) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    UPDATE "{schema}".summary r SET content = k.content, model = k.model, prompt_id = k.prompt_id, parameters = k.parameters, tokens = k.tokens, cost = k.cost, source_digest = k.source_digest, pinned = k.pinned, created_us = k.created_us, version = k.version
    FROM unnest(kind_of, platform_of, record_id_of, locale_of, number_of, content_of, model_of, prompt_id_of, parameters_of, tokens_of, cost_of, source_digest_of, pinned_of, created_us_of, version_of) AS k (kind, platform, record_id, locale, number, content, model, prompt_id, parameters, tokens, cost, source_digest, pinned, created_us, version) WHERE r.company_id = company AND r.kind = k.kind AND r.platform = k.platform AND r.record_id = k.record_id AND r.locale = k.locale AND r.number = k.number;
    GET DIAGNOSTICS came = ROW_COUNT;
    IF came <> cardinality(kind_of) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The second half of a commit, checkpoint part: what was decided is written down, a row an element of the arrays.

-- Rows that did not exist when the unit was decided. Another unit may have added one meanwhile, which violates the key (ON CONFLICT would look
-- into it twice for each row), or deleted one of the same name at a version that this unit did not know of: then it must decide anew.
-- Elements are taken by their places, since unnest() would write every column of every row down once more before it is inserted.
CREATE FUNCTION "{schema}".add_checkpoint(company text, known_floor bigint, platform_of text[], stream_of text[], cursor_of text[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".checkpoint (company_id, platform, stream, cursor, version)
    SELECT company, platform_of[k.place], stream_of[k.place], cursor_of[k.place], version_of[k.place] FROM generate_series(1, cardinality(platform_of)) AS k (place);
    IF known_floor < (SELECT s.floor FROM "{schema}".company_state s WHERE s.company_id = company) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
END $$;

-- Rows that this unit has locked.
CREATE FUNCTION "{schema}".change_checkpoint(company text, platform_of text[], stream_of text[], cursor_of text[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    came bigint;
BEGIN
    IF cardinality(platform_of) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    UPDATE "{schema}".checkpoint r SET cursor = k.cursor, version = k.version
    FROM unnest(platform_of, stream_of, cursor_of, version_of) AS k (platform, stream, cursor, version) WHERE r.company_id = company AND r.platform = k.platform AND r.stream = k.stream;
    GET DIAGNOSTICS came = ROW_COUNT;
    IF came <> cardinality(platform_of) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The second half of a commit, suppression part: what was decided is written down, a row an element of the arrays.

-- Rows that did not exist when the unit was decided. Another unit may have added one meanwhile, which violates the key (ON CONFLICT would look
-- into it twice for each row), or deleted one of the same name at a version that this unit did not know of: then it must decide anew.
-- Elements are taken by their places, since unnest() would write every column of every row down once more before it is inserted.
CREATE FUNCTION "{schema}".add_suppression(company text, known_floor bigint, platform_of text[], digest_of text[], secret_of bytea[], created_us_of bigint[], tickets_of bigint[], summaries_of bigint[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".suppression (company_id, platform, digest, secret, created_us, tickets, summaries, version)
    SELECT company, platform_of[k.place], digest_of[k.place], secret_of[k.place], created_us_of[k.place], tickets_of[k.place], summaries_of[k.place], version_of[k.place] FROM generate_series(1, cardinality(platform_of)) AS k (place);
    IF known_floor < (SELECT s.floor FROM "{schema}".company_state s WHERE s.company_id = company) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
END $$;

-- Rows that this unit has locked.
CREATE FUNCTION "{schema}".change_suppression(company text, platform_of text[], digest_of text[], secret_of bytea[], created_us_of bigint[], tickets_of bigint[], summaries_of bigint[], version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    came bigint;
BEGIN
    IF cardinality(platform_of) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    UPDATE "{schema}".suppression r SET secret = k.secret, created_us = k.created_us, tickets = k.tickets, summaries = k.summaries, version = k.version
    FROM unnest(platform_of, digest_of, secret_of, created_us_of, tickets_of, summaries_of, version_of) AS k (platform, digest, secret, created_us, tickets, summaries, version) WHERE r.company_id = company AND r.platform = k.platform AND r.digest = k.digest;
    GET DIAGNOSTICS came = ROW_COUNT;
    IF came <> cardinality(platform_of) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- New tickets that nobody has worked on: most of what ever comes in, so their processing is made of what the tickets tell.
CREATE FUNCTION "{schema}".add_fresh_ticket(company text, known_floor bigint, platform_of text[], ticket_id_of text[], version_of bigint[], created_us_of bigint[], saved_us_of bigint[], subject_of text[], status_of text[], priority_of text[], requester_of text[], updated_us_of bigint[], source_field_of text[], source_value_of bigint[], text_digest_of bytea[], sha256_of bytea[], payload_of json[], state_version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM "{schema}".add_ticket(company, known_floor, platform_of, ticket_id_of, version_of, created_us_of, saved_us_of, subject_of, status_of, priority_of, requester_of, updated_us_of, source_field_of, source_value_of, text_digest_of, sha256_of, payload_of);
    INSERT INTO "{schema}".ticket_state (company_id, platform, ticket_id, created_us, status, attempts, claimable_us, changed_us, version)
    SELECT company, platform_of[k.place], ticket_id_of[k.place], created_us_of[k.place], 'pending', 0, saved_us_of[k.place], saved_us_of[k.place],
        state_version_of[k.place]
    FROM generate_series(1, cardinality(platform_of)) AS k (place);
END $$;

-- Hands tickets to a worker, leaving out those that another worker is taking: a token for each, smallest claimable_us first.

-- It writes what domain.claims.take would decide: docs/adr/0013. The last row tells of the company and of the transaction.
CREATE FUNCTION "{schema}".claim(company text, of_platform text, by_worker text, tokens text[], now_us bigint, until_us bigint, again_us bigint)
RETURNS TABLE (place bigint, id text, text_digest bytea, attempts integer, version bigint, store text, state json, trace text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    taken text[];
    stands record;
BEGIN
    SELECT array_agg(l.ticket_id ORDER BY l.claimable_us, l.ticket_id) INTO taken FROM (
        SELECT s.ticket_id, s.claimable_us FROM "{schema}".ticket_state s
        WHERE s.company_id = company AND s.platform = of_platform AND s.claimable_us <= now_us
        ORDER BY s.claimable_us, s.ticket_id LIMIT cardinality(tokens) FOR NO KEY UPDATE SKIP LOCKED
    ) l;
    -- these tickets are held now; statements of their own see what was committed until they were
    SELECT o.id, h.state, coalesce(h.floor, 0) AS floor INTO stands
    FROM "{schema}".store o LEFT JOIN "{schema}".company_state h ON h.company_id = company;
    RETURN QUERY
    UPDATE "{schema}".ticket_state s SET status = 'processing', attempts = least(s.attempts, 2147483647 - 1) + 1, error = NULL,
        worker = by_worker, token = tokens[k.place], lease_us = until_us, claim_digest = t.text_digest,
        claimable_us = again_us, changed_us = now_us, version = greatest(s.version + 1, stands.floor + 1, now_us)
    FROM unnest(taken) WITH ORDINALITY AS k (id, place)
    JOIN "{schema}".ticket t ON t.company_id = company AND t.platform = of_platform AND t.ticket_id = k.id
    WHERE s.company_id = company AND s.platform = of_platform AND s.ticket_id = k.id
    RETURNING k.place - 1, s.ticket_id, t.text_digest, s.attempts, s.version, NULL::text, NULL::json, NULL::text;
    RETURN QUERY SELECT NULL::bigint, NULL, NULL::bytea, NULL::integer, NULL::bigint,
        stands.id, stands.state, pg_current_xact_id_if_assigned() || ' ' || pg_current_wal_insert_lsn();
END $$;

-- Deletions, and what the mirror is to be told.

-- A ticket goes with its processing, and every record with its summaries.
CREATE FUNCTION "{schema}".remove_records(company text, kinds text[], platforms text[], ids text[], locales text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    DELETE FROM "{schema}".ticket t USING unnest(kinds, platforms, ids) AS k (kind, platform, id)
    WHERE k.kind = 'ticket' AND t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id;
    DELETE FROM "{schema}".ticket_state t USING unnest(kinds, platforms, ids) AS k (kind, platform, id)
    WHERE k.kind = 'ticket' AND t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id;
    DELETE FROM "{schema}".article a USING unnest(kinds, platforms, ids, locales) AS k (kind, platform, id, locale)
    WHERE k.kind = 'article' AND a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale;
    DELETE FROM "{schema}".summary m USING unnest(kinds, platforms, ids, locales) AS k (kind, platform, id, locale)
    WHERE m.company_id = company AND m.kind = k.kind AND m.platform = k.platform AND m.record_id = k.id AND m.locale = k.locale;
    PERFORM "{schema}".plan_as_usual();
END $$;

CREATE FUNCTION "{schema}".remove_parts(company text, parts text[], kinds text[], platforms text[], ids text[], locales text[], numbers integer[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    DELETE FROM "{schema}".summary m USING unnest(parts, kinds, platforms, ids, locales, numbers) AS k (part, kind, platform, id, locale, number)
    WHERE k.part = 'summary' AND m.company_id = company
        AND m.kind = k.kind AND m.platform = k.platform AND m.record_id = k.id AND m.locale = k.locale AND m.number = k.number;
    DELETE FROM "{schema}".checkpoint c USING unnest(parts, kinds, platforms, ids, locales, numbers) AS k (part, kind, platform, id, locale, number)
    WHERE k.part = 'checkpoint' AND c.company_id = company AND c.platform = k.platform AND c.stream = k.id;
    DELETE FROM "{schema}".suppression x USING unnest(parts, kinds, platforms, ids, locales, numbers) AS k (part, kind, platform, id, locale, number)
    WHERE k.part = 'suppression' AND x.company_id = company AND x.platform = k.platform AND x.digest = k.id;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- Called last, since all who delete in a company wait here for one another.
CREATE FUNCTION "{schema}".raise_floor(company text, version bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    UPDATE "{schema}".company_state s SET floor = version WHERE s.company_id = company AND s.floor < version;
END $$;

CREATE FUNCTION "{schema}".owe(company text, consumers text[], parts text[], kinds text[], platforms text[], ids text[], locales text[], numbers integer[], versions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".outbox (company_id, consumer, part, kind, platform, id, locale, number, version)
    SELECT company, c.*, k.* FROM unnest(consumers) AS c CROSS JOIN unnest(parts, kinds, platforms, ids, locales, numbers, versions) AS k ON CONFLICT DO NOTHING;
END $$;

-- Remembers at which versions things were deleted.
CREATE FUNCTION "{schema}".bury(company text, parts text[], kinds text[], platforms text[], ids text[], locales text[], numbers integer[], versions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".tombstone AS d (company_id, part, kind, platform, id, locale, number, version)
    SELECT company, k.* FROM unnest(parts, kinds, platforms, ids, locales, numbers, versions) AS k
    ON CONFLICT (company_id, part, kind, platform, id, locale, number) DO UPDATE SET version = greatest(d.version, excluded.version);
END $$;

CREATE FUNCTION "{schema}".unbury(company text, parts text[], kinds text[], platforms text[], ids text[], locales text[], numbers integer[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    DELETE FROM "{schema}".tombstone d USING unnest(parts, kinds, platforms, ids, locales, numbers) AS k (part, kind, platform, id, locale, number) WHERE d.company_id = company AND d.part = k.part AND d.kind = k.kind AND d.platform = k.platform AND d.id = k.id AND d.locale = k.locale AND d.number = k.number;
    PERFORM "{schema}".plan_as_usual();
END $$;

CREATE FUNCTION "{schema}".find_debts(company text, known bigint, told text, wanted integer)
RETURNS TABLE (epoch bigint, part text, kind text, platform text, id text, locale text, number integer, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, d.part, d.kind, d.platform, d.id, d.locale, d.number, max(d.version) FROM "{schema}".outbox d
    WHERE d.company_id = company AND d.consumer = told GROUP BY d.part, d.kind, d.platform, d.id, d.locale, d.number ORDER BY d.part, d.kind, d.platform, d.id, d.locale, d.number LIMIT wanted;
END $$;

CREATE FUNCTION "{schema}".acknowledge(company text, told text, parts text[], kinds text[], platforms text[], ids text[], locales text[], numbers integer[], versions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    DELETE FROM "{schema}".outbox d USING unnest(parts, kinds, platforms, ids, locales, numbers, versions) AS k (part, kind, platform, id, locale, number, version)
    WHERE d.company_id = company AND d.consumer = told AND d.part = k.part AND d.kind = k.kind AND d.platform = k.platform AND d.id = k.id AND d.locale = k.locale AND d.number = k.number AND d.version <= k.version;
END $$;

-- What domain.mirror.digest_of computes of the processing of tickets.
CREATE FUNCTION "{schema}".batch_of_processing_digests(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, ticket_id text, version bigint, digest bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, s.platform, s.ticket_id, s.version, sha256(coalesce(convert_to('processing', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('ticket', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.platform, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.ticket_id, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to('0', 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.status, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.attempts::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.error, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.worker, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.token, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.lease_us::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(encode(sha256(s.claim_digest), 'hex'), 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.claimable_us::text, 'UTF8'), '\xff'::bytea) || '\x00'::bytea || coalesce(convert_to(s.changed_us::text, 'UTF8'), '\xff'::bytea)) FROM "{schema}".ticket_state s
    WHERE s.company_id = company AND (s.platform, s.ticket_id) > (behind[1], behind[2])
    ORDER BY s.platform, s.ticket_id LIMIT wanted;
END $$;

CREATE FUNCTION "{schema}".remembers_deletions(company text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    RETURN EXISTS (SELECT FROM "{schema}".tombstone d WHERE d.company_id = company);
END $$;

-- The versions at which those of these things were deleted last of which that is remembered.
CREATE FUNCTION "{schema}".find_tombstones(company text, parts text[], kinds text[], platforms text[], ids text[], locales text[], numbers integer[])
RETURNS TABLE (part text, kind text, platform text, id text, locale text, number integer, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT k.*, d.version FROM unnest(parts, kinds, platforms, ids, locales, numbers) AS k (part, kind, platform, id, locale, number)
    CROSS JOIN LATERAL (SELECT d.version FROM "{schema}".tombstone d WHERE d.company_id = company AND d.part = k.part AND d.kind = k.kind AND d.platform = k.platform AND d.id = k.id AND d.locale = k.locale AND d.number = k.number OFFSET 0) d;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The version each thing stands at, and the one at which it was deleted last; 0 and 0 for what nobody knows.
CREATE FUNCTION "{schema}".find_versions(company text, known bigint, parts text[], kinds text[], platforms text[], ids text[], locales text[], numbers integer[])
RETURNS TABLE (epoch bigint, part text, kind text, platform text, id text, locale text, number integer, standing bigint, buried bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    IF cardinality(ids) > 20 THEN
        PERFORM "{schema}".look_up_each();
    END IF;
    RETURN QUERY SELECT entered, k.*, coalesce(t.version, a.version, s.version, m.version, c.version, x.version, 0), coalesce(d.version, 0)
    FROM unnest(parts, kinds, platforms, ids, locales, numbers) AS k (part, kind, platform, id, locale, number)
    LEFT JOIN LATERAL (
        SELECT t.version FROM "{schema}".ticket t
        WHERE k.part = 'ticket' AND t.company_id = company AND t.platform = k.platform AND t.ticket_id = k.id OFFSET 0
    ) t ON true
    LEFT JOIN LATERAL (
        SELECT a.version FROM "{schema}".article a
        WHERE k.part = 'article' AND a.company_id = company AND a.platform = k.platform AND a.article_id = k.id AND a.locale = k.locale OFFSET 0
    ) a ON true
    LEFT JOIN LATERAL (
        SELECT s.version FROM "{schema}".ticket_state s
        WHERE k.part = 'processing' AND s.company_id = company AND s.platform = k.platform AND s.ticket_id = k.id OFFSET 0
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT m.version FROM "{schema}".summary m
        WHERE k.part = 'summary' AND m.company_id = company AND m.kind = k.kind AND m.platform = k.platform
            AND m.record_id = k.id AND m.locale = k.locale AND m.number = k.number OFFSET 0
    ) m ON true
    LEFT JOIN LATERAL (
        SELECT c.version FROM "{schema}".checkpoint c
        WHERE k.part = 'checkpoint' AND c.company_id = company AND c.platform = k.platform AND c.stream = k.id OFFSET 0
    ) c ON true
    LEFT JOIN LATERAL (
        SELECT x.version FROM "{schema}".suppression x
        WHERE k.part = 'suppression' AND x.company_id = company AND x.platform = k.platform AND x.digest = k.id OFFSET 0
    ) x ON true
    LEFT JOIN LATERAL (
        SELECT d.version FROM "{schema}".tombstone d
        WHERE d.company_id = company AND d.part = k.part AND d.kind = k.kind AND d.platform = k.platform AND d.id = k.id AND d.locale = k.locale AND d.number = k.number OFFSET 0
    ) d ON true;
    PERFORM "{schema}".plan_as_usual();
END $$;

-- The requesters whose tickets are kept out.

CREATE FUNCTION "{schema}".find_secrets(company text, known bigint)
RETURNS TABLE (epoch bigint, secret bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT DISTINCT entered, x.secret FROM "{schema}".suppression x WHERE x.company_id = company;
END $$;

CREATE FUNCTION "{schema}".find_suppressions(company text, known bigint, platforms text[], digests text[])
RETURNS TABLE (epoch bigint, platform text, digest text, secret bytea, created_us bigint, tickets bigint, summaries bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, x.platform, x.digest, x.secret, x.created_us, x.tickets, x.summaries, x.version
    FROM unnest(platforms, digests) AS k (platform, digest)
    JOIN "{schema}".suppression x ON x.company_id = company AND x.platform = k.platform AND x.digest = k.digest;
END $$;

CREATE FUNCTION "{schema}".batch_of_suppressions(company text, known bigint, behind text[], wanted integer)
RETURNS TABLE (epoch bigint, platform text, digest text, secret bytea, created_us bigint, tickets bigint, summaries bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
DECLARE
    entered bigint := "{schema}".enter(company, known);
BEGIN
    RETURN QUERY SELECT entered, x.platform, x.digest, x.secret, x.created_us, x.tickets, x.summaries, x.version FROM "{schema}".suppression x
    WHERE x.company_id = company AND (x.platform, x.digest) > (behind[1], behind[2]) ORDER BY x.platform, x.digest LIMIT wanted;
END $$;

-- Locks those that exist until the end, in the order of their names, and reads in a later statement how they stand.
CREATE FUNCTION "{schema}".lock_suppressions(company text, platforms text[], digests text[])
RETURNS TABLE (platform text, digest text, secret bytea, created_us bigint, tickets bigint, summaries bigint, version bigint)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM unnest(platforms, digests) AS k (platform, digest)
    JOIN "{schema}".suppression x ON x.company_id = company AND x.platform = k.platform AND x.digest = k.digest
    ORDER BY x.platform, x.digest FOR NO KEY UPDATE OF x;
    RETURN QUERY SELECT x.platform, x.digest, x.secret, x.created_us, x.tickets, x.summaries, x.version FROM unnest(platforms, digests) AS k (platform, digest)
    JOIN "{schema}".suppression x ON x.company_id = company AND x.platform = k.platform AND x.digest = k.digest;
END $$;

-- Counts are differences that each statement appends, so that no two writers ever wait for one another over a counter.

-- A key of its own for each difference, at the end of the index: the time in microseconds, then at random.
CREATE FUNCTION "{schema}".delta_key() RETURNS uuid LANGUAGE sql VOLATILE SECURITY INVOKER AS $$
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0') || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid
$$;

-- One row for each count instead of many; whoever comes second leaves it to the first.
CREATE FUNCTION "{schema}".fold_counts(company text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('deskstore counts ' || company, 0)) THEN
        RETURN;
    END IF;
    WITH taken AS (
        DELETE FROM "{schema}".count_delta d WHERE d.company_id = company RETURNING d.part, d.platform, d.was, d.status, d.n, d.changed_us
    )
    INSERT INTO "{schema}".count_delta (company_id, id, part, platform, was, status, n, changed_us)
    SELECT company, "{schema}".delta_key(), t.part, t.platform, t.was, t.status, sum(t.n), max(t.changed_us)
    FROM taken t GROUP BY t.part, t.platform, t.was, t.status;
END $$;

-- Called by each statement that appended differences: about one in a hundred folds them, so that there never are many, whoever writes.
CREATE FUNCTION "{schema}".fold_now_and_then() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    company text := nullif(current_setting('app.current_company_id', true), '');
BEGIN
    IF company IS NOT NULL AND random() < 0.01 THEN
        PERFORM "{schema}".fold_counts(company);
    END IF;
END $$;

CREATE FUNCTION "{schema}".count_states() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    -- without a company there are no rows to count, on a connection that never had one and on one that had
    moment bigint := nullif(current_setting('app.now_us', true), '')::bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO "{schema}".count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT c.company_id, "{schema}".delta_key(), 'ticket', c.platform, '', c.status, count(*), moment
        FROM came c GROUP BY c.company_id, c.platform, c.status;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO "{schema}".count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT w.company_id, "{schema}".delta_key(), 'ticket', w.platform, w.status, '', count(*), moment
        FROM went w GROUP BY w.company_id, w.platform, w.status;
    ELSE
        INSERT INTO "{schema}".count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT moved.company_id, "{schema}".delta_key(), 'ticket', moved.platform, moved.was, moved.status, count(*), moment
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
        PERFORM "{schema}".fold_now_and_then();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON "{schema}".ticket_state REFERENCING NEW TABLE AS came
FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".count_states();

CREATE TRIGGER count_updated AFTER UPDATE ON "{schema}".ticket_state REFERENCING OLD TABLE AS went NEW TABLE AS came
FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".count_states();

CREATE TRIGGER count_deleted AFTER DELETE ON "{schema}".ticket_state REFERENCING OLD TABLE AS went
FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".count_states();

CREATE FUNCTION "{schema}".count_articles() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO "{schema}".count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT c.company_id, "{schema}".delta_key(), 'article', c.platform, '', 'kept', count(*), 0 FROM came c GROUP BY c.company_id, c.platform;
    ELSE
        INSERT INTO "{schema}".count_delta (company_id, id, part, platform, was, status, n, changed_us)
        SELECT w.company_id, "{schema}".delta_key(), 'article', w.platform, 'kept', '', count(*), 0 FROM went w GROUP BY w.company_id, w.platform;
    END IF;
    IF FOUND THEN
        PERFORM "{schema}".fold_now_and_then();
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_inserted AFTER INSERT ON "{schema}".article REFERENCING NEW TABLE AS came
FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".count_articles();

CREATE TRIGGER count_deleted AFTER DELETE ON "{schema}".article REFERENCING OLD TABLE AS went
FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".count_articles();

-- Erasing a company, alone in it: refuse everybody, delete in batches, forget that it was.

-- From here on nobody reads or writes the company; the line that stays names its hash only.
CREATE FUNCTION "{schema}".forbid(company text, now_us bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO "{schema}".erasure (company_hash, epoch, erased_us, counts)
    SELECT "{schema}".company_hash(company), s.epoch + 1, now_us, json_build_object(
        'tickets', (SELECT count(*) FROM "{schema}".ticket r WHERE r.company_id = company),
        'articles', (SELECT count(*) FROM "{schema}".article r WHERE r.company_id = company),
        'summaries', (SELECT count(*) FROM "{schema}".summary m WHERE m.company_id = company),
        'processing', (SELECT count(*) FROM "{schema}".ticket_state r WHERE r.company_id = company),
        'claims', (SELECT count(*) FROM "{schema}".ticket_state r WHERE r.company_id = company AND r.token IS NOT NULL),
        'checkpoints', (SELECT count(*) FROM "{schema}".checkpoint r WHERE r.company_id = company),
        'suppressions', (SELECT count(*) FROM "{schema}".suppression r WHERE r.company_id = company))
    FROM "{schema}".company_state s WHERE s.company_id = company AND NOT s.erased;
    UPDATE "{schema}".company_state s SET erased = true, epoch = s.epoch + 1,
        state = (s.state::jsonb || jsonb_build_object('erased', true, 'epoch', s.epoch + 1))::json
    WHERE s.company_id = company AND NOT s.erased;
END $$;

-- The line that stays of the last company of that name.
CREATE FUNCTION "{schema}".last_erasure(company text) RETURNS TABLE (hash bytea, epoch bigint, erased_us bigint, counts json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('app.current_company_id', company, true);
    RETURN QUERY SELECT e.company_hash, e.epoch, e.erased_us, e.counts FROM "{schema}".erasure e
    WHERE e.company_hash = "{schema}".company_hash(company) ORDER BY e.epoch DESC LIMIT 1;
END $$;

-- Deletes about so many rows of the company, and says whether any were left to delete.
CREATE FUNCTION "{schema}".erase_some(company text, batch integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    one text;
    gone bigint;
BEGIN
    FOREACH one IN ARRAY
        ARRAY['summary', 'checkpoint', 'outbox', 'tombstone', 'article', 'ticket_state', 'ticket', 'suppression', 'count_delta']
    LOOP
        EXECUTE format('DELETE FROM "{schema}".%I WHERE company_id = $1 AND ctid = ANY (ARRAY('
            'SELECT ctid FROM "{schema}".%I WHERE company_id = $1 LIMIT $2))', one, one) USING company, batch;
        GET DIAGNOSTICS gone = ROW_COUNT;
        IF gone > 0 THEN
            RETURN true;
        END IF;
    END LOOP;
    DELETE FROM "{schema}".company_state s WHERE s.company_id = company;
    DELETE FROM "{schema}".company c WHERE c.company_id = company;
    RETURN false;
END $$;

ALTER TABLE "{schema}".article ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".article AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".article AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".checkpoint ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".checkpoint AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".checkpoint AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".company ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".company AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY every ON "{schema}".company AS PERMISSIVE FOR SELECT TO PUBLIC USING (true);

CREATE POLICY own_only_inserted ON "{schema}".company AS RESTRICTIVE FOR INSERT TO PUBLIC WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only_updated ON "{schema}".company AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only_deleted ON "{schema}".company AS RESTRICTIVE FOR DELETE TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".company_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".company_state AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".company_state AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".count_delta ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".count_delta AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".count_delta AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".erasure ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".erasure AS PERMISSIVE FOR ALL TO PUBLIC USING (company_hash = sha256(convert_to((SELECT nullif(current_setting('app.current_company_id', true), '')), 'UTF8'))) WITH CHECK (company_hash = sha256(convert_to((SELECT nullif(current_setting('app.current_company_id', true), '')), 'UTF8')));

CREATE POLICY every ON "{schema}".erasure AS PERMISSIVE FOR SELECT TO PUBLIC USING (true);

CREATE POLICY own_only_inserted ON "{schema}".erasure AS RESTRICTIVE FOR INSERT TO PUBLIC WITH CHECK (company_hash = sha256(convert_to((SELECT nullif(current_setting('app.current_company_id', true), '')), 'UTF8')));

CREATE POLICY own_only_updated ON "{schema}".erasure AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (company_hash = sha256(convert_to((SELECT nullif(current_setting('app.current_company_id', true), '')), 'UTF8'))) WITH CHECK (company_hash = sha256(convert_to((SELECT nullif(current_setting('app.current_company_id', true), '')), 'UTF8')));

CREATE POLICY own_only_deleted ON "{schema}".erasure AS RESTRICTIVE FOR DELETE TO PUBLIC USING (company_hash = sha256(convert_to((SELECT nullif(current_setting('app.current_company_id', true), '')), 'UTF8')));

ALTER TABLE "{schema}".outbox ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".outbox AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".outbox AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".summary ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".summary AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".summary AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".suppression ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".suppression AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".suppression AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".ticket ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".ticket AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".ticket AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".ticket_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".ticket_state AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".ticket_state AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

ALTER TABLE "{schema}".tombstone ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY own ON "{schema}".tombstone AS PERMISSIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

CREATE POLICY own_only ON "{schema}".tombstone AS RESTRICTIVE FOR ALL TO PUBLIC USING (company_id = (SELECT nullif(current_setting('app.current_company_id', true), ''))) WITH CHECK (company_id = (SELECT nullif(current_setting('app.current_company_id', true), '')));

INSERT INTO "{schema}".store (id) VALUES ('postgres-' || gen_random_uuid());

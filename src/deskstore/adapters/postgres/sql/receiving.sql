-- New tickets that nobody has worked on: most of what ever comes in, so their processing is made of what the tickets tell.
CREATE FUNCTION {schema}.add_fresh_ticket(company text, known_floor bigint, {ticket_arrays}, state_version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM {schema}.add_ticket(company, known_floor, {ticket_array_names});
    INSERT INTO {schema}.ticket_state (company_id, platform, ticket_id, created_us, status, attempts, claimable_us, changed_us, version)
    SELECT company, k.platform, k.ticket_id, k.created_us, 'pending', 0, k.saved_us, k.saved_us, k.version
    FROM unnest(platform_of, ticket_id_of, created_us_of, saved_us_of, state_version_of) AS k (platform, ticket_id, created_us, saved_us, version);
END $$;

-- New tickets that nobody has worked on: most of what ever comes in, so their processing is made of what the tickets tell.
CREATE FUNCTION {schema}.add_fresh_ticket(company text, known_floor bigint, {ticket_arrays}, state_version_of bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM {schema}.add_ticket(company, known_floor, {ticket_array_names});
    INSERT INTO {schema}.ticket_state (company_id, platform, ticket_id, created_us, status, attempts, claimable_us, changed_us, version)
    SELECT company, platform_of[k.place], ticket_id_of[k.place], created_us_of[k.place], 'pending', 0, saved_us_of[k.place], saved_us_of[k.place],
        state_version_of[k.place]
    FROM generate_series(1, cardinality(platform_of)) AS k (place);
END $$;

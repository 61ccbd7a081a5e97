-- The second half of a commit, {table} part: what was decided is written down, a row an element of the arrays.

-- Rows that did not exist when the unit was decided. Another unit may have added one meanwhile, which violates the key (ON CONFLICT would look
-- into it twice for each row), or deleted one of the same name at a version that this unit did not know of: then it must decide anew.
-- Elements are taken by their places, since unnest() would write every column of every row down once more before it is inserted.
CREATE FUNCTION {schema}.add_{table}(company text, known_floor bigint, {arrays}) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO {schema}.{table} (company_id, {columns})
    SELECT company, {elements} FROM generate_series(1, cardinality({first_array})) AS k (place);
    IF known_floor < (SELECT s.floor FROM {schema}.company_state s WHERE s.company_id = company) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;
END $$;

-- Rows that this unit has locked.
CREATE FUNCTION {schema}.change_{table}(company text, {arrays}) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE
    came bigint;
BEGIN
    IF cardinality({first_array}) > {many} THEN
        PERFORM {schema}.look_up_each();
    END IF;
    UPDATE {schema}.{table} r SET {assignments}
    FROM unnest({array_names}) AS k ({columns}) WHERE r.company_id = company AND {same_key};
    GET DIAGNOSTICS came = ROW_COUNT;
    IF came <> cardinality({first_array}) THEN
        RAISE EXCEPTION USING errcode = 'DS004', message = 'somebody else was faster';
    END IF;{afterwards}
    PERFORM {schema}.plan_as_usual();
END $$;

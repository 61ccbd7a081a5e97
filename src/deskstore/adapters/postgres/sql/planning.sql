-- How statements are planned that are given many names.

-- From here on, and at the latest until the end of the transaction, statements are planned anew, each for what it is given. While a company is
-- brought in nobody analyses its tables, so plans that were made when they were empty stay in use, and go through all of its rows for each name.
-- With this, and with each row looked up in a subquery that OFFSET 0 keeps from being joined in another order, every name costs one look into
-- one index.
CREATE FUNCTION {schema}.look_up_each() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
END $$;

-- Behind what was looked up statements are planned as anywhere else: one that writes is given a megabyte at a time, of which a plan of its own
-- would hold several copies.
CREATE FUNCTION {schema}.plan_as_usual() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', 'auto', true);
END $$;

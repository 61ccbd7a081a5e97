-- How statements are planned that are given many names.

-- From here to the end of the transaction statements are planned anew, each for what it is given. While a company is brought in nobody analyses
-- its tables, so plans that were made when they were empty stay in use, and go through all of its rows for each name. With this, and with each
-- row looked up in a subquery that OFFSET 0 keeps from being joined in another order, every name costs one look into one index.
CREATE FUNCTION {schema}.look_up_each() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
END $$;

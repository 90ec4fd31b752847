-- How far budgets are used, for people who look: each with the number of targets that have taken a place, and whether
-- this target is one of them.
CREATE OR REPLACE FUNCTION tocsin.budget_usage(budgets jsonb, acted_upon text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT COALESCE(jsonb_agg(one || jsonb_build_object('used', cardinality(taken),
            'counted', acted_upon = ANY(taken)) ORDER BY place), '[]'::jsonb)
        FROM (SELECT one, place, ARRAY(SELECT tocsin.budget_taken(one)) AS taken
              FROM jsonb_array_elements(budgets) WITH ORDINALITY AS list(one, place)) AS looked);
END
$$;

-- How far budgets are used, for people who look: each with the number of targets that have taken a place, and whether
-- this target is one of them.
CREATE OR REPLACE FUNCTION tocsin.budget_usage(budgets jsonb, acted_upon text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT COALESCE(jsonb_agg(one || to_jsonb(place) ORDER BY number), '[]'::jsonb)
        FROM jsonb_array_elements(budgets) WITH ORDINALITY AS list(one, number),
            LATERAL tocsin.budget_used(one, acted_upon) AS place);
END
$$;

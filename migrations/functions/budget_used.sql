-- How many different targets have taken a place in a budget, and whether this one has: what was sent, or may have been,
-- and takes from budgets. What failed has had no effect, and gives its place back.
-- One query for each scope, so that each has its index and is planned once.
CREATE OR REPLACE FUNCTION tocsin.budget_used(budget jsonb, acted_upon text, OUT used integer, OUT counted boolean)
LANGUAGE plpgsql AS $$
DECLARE
    name text := budget->>'of';
    since timestamptz := clock_timestamp() - make_interval(secs => (budget->>'seconds')::float);
BEGIN
    CASE budget->>'scope'
    WHEN 'run' THEN
        SELECT count(*), bool_or(target = acted_upon) INTO used, counted FROM (SELECT DISTINCT target FROM tocsin.action
            WHERE groups IS NOT NULL AND mode = 'live' AND state <> 'failed' AND run = name) AS taken;
    WHEN 'playbook' THEN
        SELECT count(*), bool_or(target = acted_upon) INTO used, counted FROM (SELECT DISTINCT target FROM tocsin.action
            WHERE groups IS NOT NULL AND mode = 'live' AND state <> 'failed' AND playbook = name
                AND intended_at > since) AS taken;
    WHEN 'capability' THEN
        SELECT count(*), bool_or(target = acted_upon) INTO used, counted FROM (SELECT DISTINCT target FROM tocsin.action
            WHERE groups IS NOT NULL AND mode = 'live' AND state <> 'failed' AND capability = name
                AND intended_at > since) AS taken;
    WHEN 'group' THEN
        SELECT count(*), bool_or(target = acted_upon) INTO used, counted FROM (SELECT DISTINCT target FROM tocsin.action
            WHERE groups IS NOT NULL AND mode = 'live' AND state <> 'failed' AND name = ANY(groups)
                AND intended_at > since) AS taken;
    ELSE
        SELECT count(*), bool_or(target = acted_upon) INTO used, counted FROM (SELECT DISTINCT target FROM tocsin.action
            WHERE groups IS NOT NULL AND mode = 'live' AND state <> 'failed' AND intended_at > since) AS taken;
    END CASE;
    counted := COALESCE(counted, false);
END
$$;

-- The different targets that have taken a place in a budget: what was sent, or may have been, and takes from budgets.
-- What failed has had no effect, and gives its place back.
CREATE OR REPLACE FUNCTION tocsin.budget_taken(budget jsonb) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    name text := budget->>'of';
    since timestamptz := clock_timestamp() - make_interval(secs => (budget->>'seconds')::float);
BEGIN
    RETURN QUERY EXECUTE 'SELECT DISTINCT target FROM tocsin.action
        WHERE groups IS NOT NULL AND mode = ''live'' AND state <> ''failed'' AND ' || CASE budget->>'scope'
        WHEN 'run' THEN 'run = $1 AND $2 IS NULL'
        WHEN 'playbook' THEN 'playbook = $1 AND intended_at > $2'
        WHEN 'capability' THEN 'capability = $1 AND intended_at > $2'
        WHEN 'group' THEN '$1 = ANY(groups) AND intended_at > $2'
        ELSE '$1 IS NOT NULL AND intended_at > $2' END USING name, since;
END
$$;

-- How many of those who wait at an integration, in windows that are over by then, go before this action. Who has not
-- looked for two minutes waits no more.
CREATE OR REPLACE FUNCTION tocsin.ahead_of(k text, name text, its_rank integer, over_by timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*)::int FROM tocsin.queued o LEFT JOIN tocsin.queued mine ON mine.key = k
    WHERE o.integration = name AND o.key <> k AND o.until <= over_by AND o.looked_at > clock_timestamp() - interval '2 minutes'
        AND (o.rank > its_rank
             OR o.rank = its_rank AND (o.since, o.key) < (COALESCE(mine.since, clock_timestamp()), k)));
END
$$;

-- The action waits for people, on the card of this budget. With other parameters than those that were asked about
-- before, or after an approval that nobody used in its time, it waits anew.
CREATE OR REPLACE FUNCTION tocsin.wait_for_budget(a jsonb, reached jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tocsin.budget_waiting (key, card, run, parameters_digest, entry, budget)
    VALUES (a->>'key', reached->>'card', a->>'run', a->>'parameters_digest', a - 'budgets', reached)
    ON CONFLICT (key, card) DO UPDATE SET run = EXCLUDED.run, parameters_digest = EXCLUDED.parameters_digest,
        entry = EXCLUDED.entry, budget = EXCLUDED.budget, question = NULL, since = clock_timestamp();
    PERFORM tocsin.record('action.over_budget', a->>'run', a->>'target', jsonb_build_object('key', a->>'key',
        'step', a->>'step', 'capability', a->>'capability', 'integration', a->>'integration', 'budget', reached));
END
$$;

-- Whether people have to be asked first, because the action would act upon one target more than a budget lets through:
--   over       it waits, in a list of what its card will ask; `budget` is the limit that is reached
--   denied     they have said no, or nothing in time
--   nothing    it may go
-- Exact however many ask at once: from here to the end of the transaction nobody else looks. What is recorded already,
-- takes something back, is not live, or acts upon nothing, takes no place, and neither does a target that has one.
-- What waits once waits for the answer, also where a place becomes free, so that a card says what will be sent.
CREATE OR REPLACE FUNCTION tocsin.over_budget(a jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    budget jsonb;
    place record;
    answers jsonb;
    answer jsonb;
    recorded record;
BEGIN
    IF a->>'mode' <> 'live' OR a->'path' ? '~undo' OR COALESCE(jsonb_typeof(a->'groups'), 'null') = 'null' THEN
        RETURN NULL;
    END IF;
    SELECT state, attempt, target, parameters_digest INTO recorded FROM tocsin.action WHERE key = a->>'key';
    IF FOUND THEN
        IF recorded.state <> 'failed' OR recorded.attempt >= (a->>'attempt')::int THEN
            RETURN NULL;
        END IF;
        -- a further attempt sends what was recorded first
        a := a || jsonb_build_object('target', recorded.target, 'parameters_digest', recorded.parameters_digest);
    END IF;
    -- who has waited is not let through by waiting, and looks without holding up anybody
    answers := tocsin.budget_answers(a);
    FOR answer IN SELECT * FROM jsonb_array_elements(answers) LOOP
        IF answer->>'state' = 'denied' THEN
            RETURN jsonb_build_object('verdict', 'denied', 'budget', answer->'budget', 'by', answer->'by');
        END IF;
        IF answer->>'state' = 'waiting' AND EXISTS (
            SELECT FROM jsonb_array_elements(a->'budgets') AS one WHERE one->>'card' = answer->>'card') THEN
            RETURN jsonb_build_object('verdict', 'over', 'budget', answer->'budget');
        END IF;
    END LOOP;
    PERFORM pg_advisory_xact_lock(hashtext('tocsin.budgets'));
    FOR budget IN SELECT * FROM jsonb_array_elements(a->'budgets') LOOP
        -- asked about one limit, people have answered for every one that the same of them are asked about
        CONTINUE WHEN EXISTS (SELECT FROM jsonb_array_elements(answers) AS one WHERE one->>'state' = 'approved'
            AND one->'budget'->'group' = budget->'group' AND one->'budget'->'count' = budget->'count');
        SELECT * INTO place FROM tocsin.budget_used(budget, a->>'target');
        IF place.used >= (budget->>'most')::int AND NOT place.counted THEN
            budget := budget || jsonb_build_object('used', place.used);
            PERFORM tocsin.wait_for_budget(a, budget);
            RETURN jsonb_build_object('verdict', 'over', 'budget', budget);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

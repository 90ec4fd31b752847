-- What people have said of an action that was above a budget: for each card that has it, its state, waiting, approved
-- or denied. An approval is for these very parameters, and for an hour; after that it waits anew.
CREATE OR REPLACE FUNCTION tocsin.budget_answers(a jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT COALESCE(jsonb_agg(jsonb_build_object('card', w.card, 'budget', w.budget, 'state', CASE
            WHEN p.state IN ('denied', 'expired', 'failed') THEN 'denied'
            WHEN p.state = 'approved' THEN 'approved' ELSE 'waiting' END,
            'by', CASE p.state WHEN 'denied' THEN p.decision->>'by' END)), '[]'::jsonb)
        FROM tocsin.budget_waiting w LEFT JOIN tocsin.approval p ON p.id = w.question
        WHERE w.key = a->>'key' AND w.parameters_digest = a->>'parameters_digest'
            AND (p.state = 'approved' AND p.decided_at < clock_timestamp() - interval '1 hour') IS NOT TRUE);
END
$$;

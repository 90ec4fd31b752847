-- The thrown kill switch that halts this; none where nothing does. Reads and what is shadow go on, and so does what
-- takes something back, unless the switch says `undo_too`.
-- Asked before a statement takes any other lock: who waits for one here would hold up whoever throws a switch.
CREATE OR REPLACE FUNCTION tocsin.halting(a jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    thrown jsonb;
    undoing boolean := a->'path' ? '~undo';
BEGIN
    IF a->>'effect' = 'read' OR a->>'mode' <> 'live' THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtext('tocsin.kill_switch'));
    SELECT to_jsonb(k) INTO thrown FROM tocsin.kill_switch k
    WHERE lifted_at IS NULL AND (undo_too OR NOT undoing) AND CASE scope
        WHEN 'all' THEN true
        WHEN 'integration' THEN name = a->>'integration'
        WHEN 'playbook' THEN name = a->>'playbook'
        ELSE name = a->>'capability' OR undoing AND inverse = a->>'capability' END
    ORDER BY scope <> 'all', thrown_at LIMIT 1;
    RETURN thrown;
END
$$;

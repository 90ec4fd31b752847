-- The verdict on an action that a kill switch halts. The audit tells it once for each attempt and switch, however
-- often it is asked for.
CREATE OR REPLACE FUNCTION tocsin.halted(a jsonb, thrown jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tocsin.record_all(jsonb_build_array(jsonb_build_object(
        'id', md5(concat_ws(' ', 'halted', a->>'key', a->>'attempt', thrown->>'id'))::uuid,
        'type', 'action.halted', 'run', a->>'run', 'subject', a->>'target', 'body', jsonb_build_object(
            'key', a->>'key', 'step', a->>'step', 'capability', a->>'capability', 'integration', a->>'integration',
            'switch', thrown->'id', 'scope', thrown->'scope', 'name', thrown->'name', 'why', thrown->'why'))));
    RETURN jsonb_build_object('verdict', 'halted', 'switch', thrown);
END
$$;

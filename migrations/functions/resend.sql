-- Another send under an open key, after its last one was proved to have had no effect (or may safely be repeated);
-- `halted` where a kill switch is thrown, `lost` where somebody else has taken it over.
CREATE OR REPLACE FUNCTION tocsin.resend(k text, last_send integer, send_within float, why text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    entry tocsin.action;
    thrown jsonb;
BEGIN
    SELECT * INTO STRICT entry FROM tocsin.action WHERE key = k;
    thrown := tocsin.halting(to_jsonb(entry));
    IF thrown IS NOT NULL THEN
        RETURN tocsin.halted(to_jsonb(entry), thrown);
    END IF;
    UPDATE tocsin.action SET sends = sends + 1, send_before = clock_timestamp() + make_interval(secs => send_within)
    WHERE key = k AND state = 'intended' AND sends = last_send RETURNING * INTO entry;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('verdict', 'lost');
    END IF;
    PERFORM tocsin.record('action.intended', entry.run, entry.target, jsonb_build_object(
        'key', entry.key, 'step', entry.step, 'capability', entry.capability, 'effect', entry.effect,
        'integration', entry.integration, 'parameters', entry.parameters, 'mode', entry.mode,
        'approval', entry.approval, 'until', entry.until, 'attempt', entry.attempt, 'send', entry.sends, 'why', why));
    RETURN jsonb_build_object('verdict', 'send', 'sends', entry.sends, 'until', entry.until,
        'send_before', extract(epoch FROM entry.send_before), 'now', extract(epoch FROM clock_timestamp()));
END
$$;

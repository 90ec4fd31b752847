-- Somebody lets go of what he held; nothing where he had let go before. Gives the effect that it was a hold on.
CREATE OR REPLACE FUNCTION tocsin.release(k text, body jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    entry tocsin.action;
BEGIN
    UPDATE tocsin.action SET released_at = clock_timestamp()
    WHERE key = k AND released_at IS NULL AND state IN ('intended', 'done', 'unknown') RETURNING * INTO entry;
    IF FOUND THEN
        PERFORM tocsin.record('hold.released', entry.run, entry.target,
            jsonb_build_object('key', k, 'step', entry.step, 'capability', entry.capability,
                               'integration', entry.integration) || body);
    END IF;
    RETURN (SELECT shared FROM tocsin.action WHERE key = k);
END
$$;

-- An effect is over: all that held it, with how it ended. `s` is its state from now on: undone, or left as it is.
CREATE OR REPLACE FUNCTION tocsin.taken_back(held text, s text, body jsonb) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    one tocsin.action;
    count integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tocsin.effect ' || held));
    DELETE FROM tocsin.taking_back WHERE shared = held;
    FOR one IN
        UPDATE tocsin.action SET state = s WHERE shared = held AND mode = 'live' AND released_at IS NOT NULL
            AND state IN ('intended', 'done', 'unknown') RETURNING *
    LOOP
        PERFORM tocsin.record('action.' || s, one.run, one.target, jsonb_build_object('key', one.key, 'step', one.step,
            'capability', one.capability, 'integration', one.integration) || body);
        count := count + 1;
    END LOOP;
    RETURN count;
END
$$;

-- An effect could not be taken back: it is tried again after `pause` seconds, and said to people where `page` is true.
CREATE OR REPLACE FUNCTION tocsin.not_taken_back(held text, why text, pause float, page boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    newest tocsin.action;
    tries integer;
BEGIN
    UPDATE tocsin.taking_back SET until = clock_timestamp(), error = why,
        next_at = clock_timestamp() + make_interval(secs => pause)
    WHERE shared = held RETURNING attempts INTO tries;
    SELECT * INTO newest FROM tocsin.action WHERE shared = held AND mode = 'live' ORDER BY intended_at DESC, key LIMIT 1;
    PERFORM tocsin.record('action.undo_failed', newest.run, newest.target, jsonb_build_object('key', newest.key,
        'capability', newest.capability, 'integration', newest.integration, 'why', why, 'attempts', tries,
        'again_in', pause, 'page', page));
END
$$;

-- What was to be taken back has to wait, for a kill switch or for its integration: no attempt was made, and it is tried after `pause` seconds.
CREATE OR REPLACE FUNCTION tocsin.put_off(held text, why text, pause float) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tocsin.taking_back SET attempts = attempts - 1, until = clock_timestamp(), error = why,
        next_at = clock_timestamp() + make_interval(secs => pause)
    WHERE shared = held;
END
$$;

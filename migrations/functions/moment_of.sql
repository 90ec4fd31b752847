-- What time it is and how bad the alert of this run: what a window goes by.
CREATE OR REPLACE FUNCTION tocsin.moment_of(of_run text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN jsonb_build_object('now', clock_timestamp(), 'severity', (SELECT severity FROM tocsin.run WHERE run = of_run));
END
$$;

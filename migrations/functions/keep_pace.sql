-- When an action may go to an integration that is sent no more than one action in `apart` seconds. Granted: wait `wait` seconds and
-- act. Else nobody keeps a place for it: ask again in about `wait` seconds.
-- How far ahead turns are given out goes by how bad the run's alert is (what takes something back counts as the worst):
-- so the worse comes first, and waits for no more than what the others had been given before.
CREATE OR REPLACE FUNCTION tocsin.keep_pace(name text, of_run text, undoing boolean, units integer, apart float)
RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    ahead float;
    due timestamptz;
    moment timestamptz;
BEGIN
    SELECT CASE WHEN undoing THEN 10 ELSE CASE severity WHEN 'critical' THEN 10 WHEN 'high' THEN 5 WHEN 'medium' THEN 2
        ELSE 1 END END INTO ahead FROM tocsin.run WHERE run = of_run;
    ahead := COALESCE(ahead, CASE WHEN undoing THEN 10 ELSE 1 END);
    INSERT INTO tocsin.pace (integration) VALUES (name) ON CONFLICT DO NOTHING;
    SELECT next_at INTO STRICT due FROM tocsin.pace WHERE integration = name FOR UPDATE;
    moment := clock_timestamp();
    due := GREATEST(due, moment);
    IF due > moment + make_interval(secs => ahead) THEN
        RETURN jsonb_build_object('granted', false, 'wait', extract(epoch FROM due - moment) - ahead);
    END IF;
    UPDATE tocsin.pace SET next_at = due + make_interval(secs => apart * units) WHERE integration = name;
    RETURN jsonb_build_object('granted', true, 'wait', extract(epoch FROM due - moment));
END
$$;

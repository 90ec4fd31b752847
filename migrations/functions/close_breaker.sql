-- A person closes a breaker, and lets settings be used again that were refused; false where neither was so.
CREATE OR REPLACE FUNCTION tocsin.close_breaker(name text, who jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    opened boolean;
    refused integer;
BEGIN
    UPDATE tocsin.breaker SET state = 'closed', failures = 0, answers = 0, since = NULL, probe = NULL,
        probe_until = NULL, probes = 0, pause = 0, paged = false
    WHERE integration = name AND state = 'open';
    opened := FOUND;
    DELETE FROM tocsin.refused_settings WHERE integration = name;
    GET DIAGNOSTICS refused = ROW_COUNT;
    IF NOT opened AND refused = 0 THEN
        RETURN false;
    END IF;
    PERFORM tocsin.record('breaker.closed', NULL, name, who || jsonb_build_object('how', 'by hand'));
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION tocsin.record(type text, run text, subject text, body jsonb) RETURNS uuid
LANGUAGE sql AS $$
    INSERT INTO tocsin.audit_event (type, run, subject, body) VALUES ($1, $2, $3, $4) RETURNING id
$$;

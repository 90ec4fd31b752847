-- An event that names its own id is told once, however often its transaction is carried out.
CREATE OR REPLACE FUNCTION tocsin.record_all(events jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO tocsin.audit_event (id, type, run, subject, body)
    SELECT COALESCE((e->>'id')::uuid, gen_random_uuid()), e->>'type', e->>'run', e->>'subject',
        COALESCE(e->'body', '{}'::jsonb)
    FROM jsonb_array_elements(events) WITH ORDINALITY AS list(e, place) ORDER BY place
    ON CONFLICT (id) DO NOTHING
$$;

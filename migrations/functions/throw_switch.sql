-- A kill switch is thrown; one that is thrown already stays, and halts undos too once anybody has said so.
-- The lock waits for every intent that is being recorded: whatever did not see the switch was recorded before
-- `thrown_at`, so its bytes leave within its `send_within` of that, or never.
CREATE OR REPLACE FUNCTION tocsin.throw_switch(s jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    thrown record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tocsin.kill_switch'));
    INSERT INTO tocsin.kill_switch AS k (scope, name, inverse, undo_too, thrown_at, thrown_by, trust, why)
    VALUES (s->>'scope', s->>'name', s->>'inverse', (s->>'undo_too')::boolean, clock_timestamp(), s->>'by', s->>'trust',
            s->>'why')
    ON CONFLICT (scope, name) WHERE lifted_at IS NULL DO UPDATE SET undo_too = k.undo_too OR EXCLUDED.undo_too,
        inverse = COALESCE(k.inverse, EXCLUDED.inverse)
    RETURNING * INTO thrown;
    PERFORM tocsin.record('kill_switch.thrown', NULL, concat_ws(':', thrown.scope, NULLIF(thrown.name, '')),
        s || jsonb_build_object('switch', thrown.id, 'undo_too', thrown.undo_too));
    RETURN to_jsonb(thrown);
END
$$;

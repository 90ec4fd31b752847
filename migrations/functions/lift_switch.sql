-- A thrown kill switch is lifted; nothing where it is not thrown.
CREATE OR REPLACE FUNCTION tocsin.lift_switch(s jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    lifted record;
BEGIN
    UPDATE tocsin.kill_switch SET lifted_at = clock_timestamp(), lifted_by = s->>'by', lifted_trust = s->>'trust',
        lifted_why = s->>'why'
    WHERE scope = s->>'scope' AND name = s->>'name' AND lifted_at IS NULL RETURNING * INTO lifted;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM tocsin.record('kill_switch.lifted', NULL, concat_ws(':', lifted.scope, NULLIF(lifted.name, '')),
        s || jsonb_build_object('switch', lifted.id, 'thrown_at', lifted.thrown_at, 'thrown_by', lifted.thrown_by));
    RETURN to_jsonb(lifted);
END
$$;

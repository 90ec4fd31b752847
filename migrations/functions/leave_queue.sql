-- Whether an action may go now that no window holds it: when nobody waits who goes before it. Then it waits no more.
CREATE OR REPLACE FUNCTION tocsin.leave_queue(k text, name text, its_rank integer, anyhow boolean) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT anyhow AND tocsin.ahead_of(k, name, its_rank, clock_timestamp()) > 0 THEN
        RETURN false;
    END IF;
    DELETE FROM tocsin.queued WHERE key = k OR looked_at < clock_timestamp() - interval '1 hour';
    RETURN true;
END
$$;

-- How often actions that held this effect have come to its end: another number means that it was taken back meanwhile.
CREATE OR REPLACE FUNCTION tocsin.ended(held text) RETURNS integer
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FROM tocsin.action WHERE shared = held AND mode = 'live' AND state IN ('undone', 'left'));
END
$$;

-- A list of texts; none where it is none.
CREATE OR REPLACE FUNCTION tocsin.texts(list jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE WHEN jsonb_typeof(list) = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(list)) END;
END
$$;

-- An action waits in a maintenance window `q`, since when and how many go before it: the worse ones, then the older.
-- The audit tells once of each window that it holds something, and once of each action that it waits in it.
CREATE OR REPLACE FUNCTION tocsin.queue(q jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    mine record;
BEGIN
    INSERT INTO tocsin.queued AS w (key, integration, run, step, capability, target, rank, until, why)
    VALUES (q->>'key', q->>'integration', q->>'run', q->>'step', q->>'capability', q->>'target', (q->>'rank')::int,
            (q->>'until')::timestamptz, q->>'why')
    ON CONFLICT (key) DO UPDATE SET looked_at = clock_timestamp(), until = EXCLUDED.until, why = EXCLUDED.why,
        since = CASE WHEN w.looked_at < clock_timestamp() - interval '10 minutes' THEN clock_timestamp() ELSE w.since END
    RETURNING * INTO mine;
    PERFORM tocsin.record_all(jsonb_build_array(
        jsonb_build_object('id', md5(concat_ws(' ', 'maintenance', mine.integration, q->>'window'))::uuid,
            'type', 'maintenance.held', 'subject', mine.integration,
            'body', jsonb_build_object('until', mine.until, 'why', mine.why)),
        jsonb_build_object('id', md5(concat_ws(' ', 'queued', mine.key, q->>'window'))::uuid,
            'type', 'action.queued', 'run', mine.run, 'subject', mine.target,
            'body', jsonb_build_object('key', mine.key, 'step', mine.step, 'capability', mine.capability,
                'integration', mine.integration, 'until', mine.until, 'why', mine.why))));
    RETURN jsonb_build_object('waited', extract(epoch FROM clock_timestamp() - mine.since),
        'ahead', tocsin.ahead_of(mine.key, mine.integration, mine.rank, mine.until));
END
$$;

-- The log of an endpoint's deliveries, and their repetition when a receiver asks for a time again.

-- The log of an endpoint, newest first. What is queued is in no index but the queue's own.
CREATE INDEX webhook_deliveries_closed ON webhook_deliveries (organization_id, endpoint_id, created_at, call_id, sequence)
    WHERE state <> 'pending';

CREATE FUNCTION replay_deliveries(p_organization_id uuid, p_endpoint_id uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz, p_most integer)
RETURNS TABLE (replayed bigint, last_at timestamptz)
LANGUAGE sql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
    WITH wanted AS (
        (
            -- A call's events lie within its life: a day at most, and another for the evidence.
            SELECT f.call_id, f.sequence, f.recorded_at
            FROM webhook_endpoints e
            JOIN calls c ON c.organization_id = e.organization_id
                AND c.created_at >= p_from - interval '2 days' AND c.created_at < p_to
                AND c.agent_id = coalesce(e.agent_id, c.agent_id)
            JOIN call_facts f ON f.organization_id = c.organization_id AND f.call_id = c.id
                AND f.recorded_at >= p_from AND f.recorded_at < p_to
                AND (e.events = '{}' OR f.type = ANY (e.events))
            WHERE e.organization_id = p_organization_id AND e.id = p_endpoint_id AND e.deleted_at IS NULL
            UNION ALL
            SELECT o.id, 0, o.at
            FROM webhook_endpoints e
            JOIN organization_events o ON o.organization_id = e.organization_id
                AND o.at >= p_from AND o.at < p_to
            WHERE e.organization_id = p_organization_id AND e.id = p_endpoint_id AND e.deleted_at IS NULL
                AND e.agent_id IS NULL AND o.type <> 'webhook.test'
                AND (o.type = ANY (e.events) OR (e.events = '{}' AND e.channel = 'webhook'))
        )
        ORDER BY 3, 1, 2
        LIMIT p_most
    ), queued AS (
        -- In the order of db::webhook_deliveries::record: the two may meet.
        INSERT INTO webhook_deliveries AS d (organization_id, endpoint_id, call_id, sequence, state, due_at, created_at)
        SELECT p_organization_id, p_endpoint_id, w.call_id, w.sequence, 'pending', p_now, p_now
        FROM wanted w
        ORDER BY w.call_id, w.sequence
        ON CONFLICT (organization_id, endpoint_id, call_id, sequence) DO UPDATE
            SET state = 'pending', due_at = p_now, lease = NULL, closed_at = NULL, requeued_at = p_now,
                attempts_before = d.attempt
            WHERE d.state <> 'pending'
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM queued),
        (SELECT max(recorded_at) FROM wanted HAVING count(*) = p_most)
$$;
COMMENT ON FUNCTION replay_deliveries IS 'Queues anew what an endpoint wants of a time, also what was never queued for it; last_at: there may be more from then on.';
REVOKE ALL ON FUNCTION replay_deliveries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION replay_deliveries TO onhook_application;

-- Deliveries that were made or given up, and events about no call, are of use for a month. They go by
-- small batches, which nothing waits for; the queue's key must stay what it is, so that they cannot lie
-- in partitions of days.

CREATE FUNCTION purge_deliveries(p_organization_id uuid, p_endpoint_id uuid, p_before timestamptz, p_most integer)
RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
    WITH old AS (
        -- What is sent again at this moment is another's, and not old any more.
        SELECT d.call_id, d.sequence FROM webhook_deliveries d
        WHERE d.organization_id = p_organization_id AND d.endpoint_id = p_endpoint_id
            AND d.state <> 'pending' AND d.created_at < p_before AND d.closed_at < p_before
        ORDER BY d.created_at, d.call_id, d.sequence
        LIMIT p_most
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM webhook_deliveries d USING old
        WHERE d.organization_id = p_organization_id AND d.endpoint_id = p_endpoint_id
            AND d.call_id = old.call_id AND d.sequence = old.sequence
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION purge_deliveries IS 'Removes deliveries to an endpoint that were over before then, the oldest first; how many.';

CREATE FUNCTION purge_organization_events(p_organization_id uuid, p_before timestamptz, p_most integer)
RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
    WITH old AS (
        SELECT o.id FROM organization_events o
        WHERE o.organization_id = p_organization_id AND o.at < p_before
            -- What is still to be sent, or was lately, has its event.
            AND NOT EXISTS (
                SELECT FROM webhook_endpoints e
                JOIN webhook_deliveries d ON d.organization_id = p_organization_id
                    AND d.endpoint_id = e.id AND d.call_id = o.id AND d.sequence = 0
                WHERE e.organization_id = p_organization_id
            )
        ORDER BY o.position
        LIMIT p_most
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM organization_events o USING old
        WHERE o.organization_id = p_organization_id AND o.id = old.id
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION purge_organization_events IS 'Removes events that happened before then and of which no delivery is left; how many.';

REVOKE ALL ON FUNCTION purge_deliveries, purge_organization_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_deliveries, purge_organization_events TO onhook_application;

-- As before, but for events about no call that are too old to be relied on.
CREATE OR REPLACE FUNCTION replay_deliveries(p_organization_id uuid, p_endpoint_id uuid, p_from timestamptz, p_to timestamptz, p_now timestamptz, p_most integer)
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
                -- Older ones may be removed at this moment, and a delivery must have its event.
                AND o.at >= p_now - interval '30 days'
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

-- Receivers as a product: paused, ordered, with a rotated secret and headers of their own; other
-- channels than webhooks through the same queue; and events that hang on no call.

ALTER TABLE webhook_endpoints
    ADD COLUMN channel text NOT NULL DEFAULT 'webhook' CHECK (channel IN ('webhook', 'telegram', 'gateway')),
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    ADD COLUMN description text NOT NULL DEFAULT '' CHECK (length(description) <= 500),
    ADD COLUMN ordered boolean NOT NULL DEFAULT false,
    ADD COLUMN headers_sealed bytea,
    ADD COLUMN headers_key_id text,
    ADD COLUMN previous_secret_sealed bytea,
    ADD COLUMN previous_secret_key_id text,
    ADD COLUMN previous_secret_until timestamptz,
    ADD COLUMN wants_since timestamptz,
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN failing_since timestamptz,
    ADD CONSTRAINT webhook_endpoints_headers_are_whole
        CHECK ((headers_sealed IS NULL) = (headers_key_id IS NULL)),
    ADD CONSTRAINT webhook_endpoints_previous_secret_is_whole CHECK (
        (previous_secret_sealed IS NULL) = (previous_secret_key_id IS NULL)
        AND (previous_secret_sealed IS NULL) = (previous_secret_until IS NULL)
    );
COMMENT ON TABLE webhook_endpoints IS 'Receivers of events, over whichever channel.';
COMMENT ON COLUMN webhook_endpoints.channel IS 'How an event is sent; the queue, its order, schedule and log are the same for all.';
COMMENT ON COLUMN webhook_endpoints.settings IS 'What the channel needs beside url and secret; nothing secret. Webhooks: empty.';
COMMENT ON COLUMN webhook_endpoints.ordered IS 'An event of a call waits until its predecessors were delivered or given up.';
COMMENT ON COLUMN webhook_endpoints.secret_sealed IS 'The signing secret; for other channels what they authenticate with.';
COMMENT ON COLUMN webhook_endpoints.headers_sealed IS 'Headers that the receiver asked for, a JSON object, sealed.';
COMMENT ON COLUMN webhook_endpoints.previous_secret_until IS 'Until then deliveries are signed with the previous secret too.';
COMMENT ON COLUMN webhook_endpoints.wants_since IS 'When it was last enabled, or its events changed; null: never since it was made.';
COMMENT ON COLUMN webhook_endpoints.paused_at IS 'Its owner holds deliveries back: events are still queued.';
COMMENT ON COLUMN webhook_endpoints.disabled_at IS 'No events are queued. What waited is kept until it is enabled again.';
COMMENT ON COLUMN webhook_endpoints.failing_since IS 'The first failed attempt since one succeeded.';

CREATE TABLE organization_events (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    position xid8 NOT NULL DEFAULT pg_current_xact_id(),
    data jsonb NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX organization_events_position ON organization_events (organization_id, position);
COMMENT ON TABLE organization_events IS 'What happened to an organisation and to none of its calls, as published. Append-only.';
COMMENT ON COLUMN organization_events.position IS 'As of call_facts.';

-- What is delivered is a fact of a call, or an event of the organisation: no reference can say so.
-- Deliveries are inserted by functions alone, with what they refer to, and the audit looks.
ALTER TABLE webhook_deliveries
    DROP CONSTRAINT webhook_deliveries_organization_id_call_id_sequence_fkey,
    ADD COLUMN requeued_at timestamptz,
    ADD COLUMN attempts_before integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN webhook_deliveries.call_id IS 'The call; where sequence is 0, the organisation''s event.';
COMMENT ON COLUMN webhook_deliveries.sequence IS 'The fact''s number; 0: an event of the organisation, named by call_id.';
COMMENT ON COLUMN webhook_deliveries.requeued_at IS 'When it was last asked to be sent again: the schedule begins anew then.';
COMMENT ON COLUMN webhook_deliveries.attempts_before IS 'How many attempts had been made then.';

CREATE FUNCTION record_organization_event(p_organization_id uuid, p_id uuid, p_type text, p_at timestamptz, p_data jsonb, p_endpoint_id uuid)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    INSERT INTO organization_events (organization_id, id, type, at, data)
    VALUES (p_organization_id, p_id, p_type, p_at, p_data)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO webhook_deliveries (organization_id, endpoint_id, call_id, sequence, state, due_at, created_at)
    SELECT p_organization_id, e.id, p_id, 0, 'pending', p_at, p_at
    FROM webhook_endpoints e
    WHERE e.organization_id = p_organization_id
        AND e.deleted_at IS NULL
        AND e.disabled_at IS NULL
        AND CASE
            WHEN p_endpoint_id IS NOT NULL THEN e.id = p_endpoint_id
            -- Other channels tell people of calls; they get these only where they are asked for.
            ELSE e.agent_id IS NULL
                AND (p_type = ANY (e.events) OR (e.events = '{}' AND e.channel = 'webhook'))
        END;
    RETURN true;
END
$$;
COMMENT ON FUNCTION record_organization_event IS 'Records an event and queues it for the endpoints that want it, or for one; false: it is recorded already.';

REVOKE ALL ON FUNCTION record_organization_event FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_organization_event TO onhook_application;
GRANT SELECT ON organization_events TO onhook_application;
-- What a delivery is about never changes.
REVOKE UPDATE ON webhook_deliveries FROM onhook_application;
GRANT UPDATE (state, due_at, attempt, lease, closed_at, requeued_at, attempts_before) ON webhook_deliveries TO onhook_application;

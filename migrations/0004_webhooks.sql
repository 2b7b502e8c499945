-- Customers' receivers of events, and the queue of deliveries to them.

CREATE TABLE webhook_endpoints (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    agent_id uuid,
    url text NOT NULL,
    events text[] NOT NULL DEFAULT '{}',
    timeout_seconds integer NOT NULL CHECK (timeout_seconds BETWEEN 5 AND 120),
    secret_sealed bytea NOT NULL,
    secret_key_id text NOT NULL,
    created_at timestamptz NOT NULL,
    disabled_at timestamptz,
    disabled_reason text,
    deleted_at timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, agent_id) REFERENCES agents (organization_id, id)
);
COMMENT ON TABLE webhook_endpoints IS 'Receivers of events.';
COMMENT ON COLUMN webhook_endpoints.agent_id IS 'Only this agent''s calls; null: all.';
COMMENT ON COLUMN webhook_endpoints.events IS 'Only these types; empty: all.';

CREATE TABLE webhook_deliveries (
    organization_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    call_id uuid NOT NULL,
    sequence bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    due_at timestamptz,
    attempt integer NOT NULL DEFAULT 0,
    lease uuid,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    PRIMARY KEY (organization_id, endpoint_id, call_id, sequence),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints (organization_id, id),
    FOREIGN KEY (organization_id, call_id, sequence) REFERENCES call_facts (organization_id, call_id, sequence),
    CONSTRAINT webhook_deliveries_due_while_pending CHECK ((state = 'pending') = (due_at IS NOT NULL)),
    CONSTRAINT webhook_deliveries_closed_when_done CHECK ((state = 'pending') = (closed_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'pending';
COMMENT ON TABLE webhook_deliveries IS 'One row per event and endpoint, written with the event.';
COMMENT ON COLUMN webhook_deliveries.due_at IS 'When the next attempt may start: its schedule, or the end of the lease.';

CREATE TABLE webhook_attempts (
    organization_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    call_id uuid NOT NULL,
    sequence bigint NOT NULL,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_millis integer NOT NULL,
    response_status integer,
    response_body text,
    failure text,
    PRIMARY KEY (organization_id, endpoint_id, call_id, sequence, attempt),
    FOREIGN KEY (organization_id, endpoint_id, call_id, sequence)
        REFERENCES webhook_deliveries (organization_id, endpoint_id, call_id, sequence)
);
COMMENT ON TABLE webhook_attempts IS 'Each attempt to deliver, and what the receiver answered (first 20 kB).';

GRANT SELECT, INSERT, UPDATE ON webhook_endpoints TO onhook_application;
GRANT SELECT, UPDATE ON webhook_deliveries TO onhook_application;
GRANT SELECT, INSERT ON webhook_attempts TO onhook_application;

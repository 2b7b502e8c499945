-- Which node holds the websocket to which gateway: one row for each, under a lease, as of listeners.

CREATE TABLE gateway_leases (
    organization_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    lease uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    PRIMARY KEY (organization_id, endpoint_id),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints (organization_id, id)
);
COMMENT ON TABLE gateway_leases IS 'Who holds the websocket to a gateway: only its holder sends over it.';
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway_leases TO onhook_application;

-- Each node looks every second whether one is held by nobody.
CREATE INDEX webhook_endpoints_gateways ON webhook_endpoints (organization_id, id)
    WHERE channel = 'gateway' AND deleted_at IS NULL;

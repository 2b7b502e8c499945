-- A claim reads the oldest due deliveries of each endpoint that has a free place: what waits for a
-- busy one, however much, must cost it nothing.

DROP INDEX webhook_deliveries_due;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (organization_id, endpoint_id, due_at, call_id, sequence)
    WHERE state = 'pending';

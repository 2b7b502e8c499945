\set i :i + 1
\set n :base + :client_id + :clients * :i
WITH ended AS (
    UPDATE bench.end_calls SET status = 'completed', version = version + 1, last_sequence = last_sequence + 1,
        ended_at = now(), ended_reason = 'ended_by_api', ended_side = 'local',
        billable_millis = 0, billed_seconds = 0, amount_micros = 0
    WHERE organization_id = '{organization}' AND id = ('{prefix}' || lpad(to_hex(:n::bigint), 12, '0'))::uuid
        AND ended_at IS NULL
    RETURNING organization_id, id, rate_card_id, last_sequence
), entry AS (
    INSERT INTO bench.end_ledger (organization_id, id, kind, call_id, meter, rate_card_id, currency, billable_millis, billed_seconds, amount_micros, recorded_at)
    SELECT organization_id, gen_random_uuid(), 'usage', id, 'call_time', rate_card_id, 'USD', 0, 0, 0, now() FROM ended
)
INSERT INTO bench.end_outbox (organization_id, endpoint_id, call_id, sequence, state, due_at, created_at)
SELECT organization_id, '{endpoint}', id, last_sequence, 'pending', now(), now() FROM ended;

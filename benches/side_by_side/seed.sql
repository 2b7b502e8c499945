-- 100 organisations with 100,000 completed calls, 1,000 ongoing in one and 20,000 in another, made
-- from one call that the server itself placed and ended: bench.template holds its rows.
--
-- bench.tenant holds the three organisations that have tokens.

INSERT INTO organizations (organization_id, name, created_at, verified_at)
SELECT gen_random_uuid(), 'Seeded ' || n, now(), now() FROM generate_series(1, 97) n;

INSERT INTO agents (organization_id, id, name, created_at, published_at)
SELECT o.organization_id, gen_random_uuid(), 'Seeded', now(), now()
FROM organizations o WHERE o.name LIKE 'Seeded %';

INSERT INTO provider_accounts (organization_id, id, provider, external_id, name, simulated, credentials_sealed, credentials_key_id, created_at)
SELECT o.organization_id, gen_random_uuid(), 'twilio', 'AC' || md5(o.name), 'Seeded', true, '\x00', 'none', now()
FROM organizations o WHERE o.name LIKE 'Seeded %';

INSERT INTO rate_cards (organization_id, id, provider, currency, price_micros, price_seconds, increment_seconds, minimum_seconds, valid_from)
SELECT o.organization_id, gen_random_uuid(), 'twilio', 'USD', 14000, 60, 60, 0, now()
FROM organizations o WHERE o.name LIKE 'Seeded %';

-- A copy of a call for another organisation, with other ids, created so much earlier.
CREATE FUNCTION bench.copy(p_call jsonb, p_organization_id uuid, p_agent_id uuid, p_account_id uuid, p_rate_card_id uuid, p_id uuid, p_provider_call_id text, p_earlier interval)
RETURNS calls
LANGUAGE sql
AS $$
    SELECT jsonb_populate_record(NULL::calls, p_call || jsonb_build_object(
        'organization_id', p_organization_id,
        'id', p_id,
        'agent_id', p_agent_id,
        'provider_account_id', p_account_id,
        'provider_call_id', p_provider_call_id,
        'rate_card_id', p_rate_card_id,
        'created_at', (p_call->>'created_at')::timestamptz - p_earlier,
        'ringing_at', (p_call->>'ringing_at')::timestamptz - p_earlier,
        'answered_at', (p_call->>'answered_at')::timestamptz - p_earlier,
        'ended_at', (p_call->>'ended_at')::timestamptz - p_earlier,
        'wish_requested_at', (p_call->>'wish_requested_at')::timestamptz - p_earlier,
        'wish_confirmed_at', (p_call->>'wish_confirmed_at')::timestamptz - p_earlier,
        'heard_at', now()
    ))
$$;

CREATE TABLE bench.organization AS
SELECT row_number() OVER (ORDER BY o.name) - 1 AS number, o.organization_id, a.id AS agent_id, p.id AS account_id, r.id AS rate_card_id
FROM organizations o
JOIN agents a USING (organization_id)
JOIN provider_accounts p USING (organization_id)
JOIN rate_cards r USING (organization_id);

-- Completed: spread over the last 50 days.
INSERT INTO calls
SELECT c.*
FROM bench.template t
CROSS JOIN generate_series(1, 100000) n
JOIN bench.organization o ON o.number = n % 100
CROSS JOIN LATERAL bench.copy(t.ended, o.organization_id, o.agent_id, o.account_id, o.rate_card_id, gen_random_uuid(), 'CA' || md5('completed' || n), n * interval '43 seconds') c;

INSERT INTO call_facts (organization_id, call_id, sequence, type, from_status, to_status, at, recorded_at, data)
SELECT c.organization_id, c.id, f.sequence, f.type, f.from_status, f.to_status, c.ended_at, c.ended_at, f.data
FROM bench.template t
JOIN call_facts f ON f.call_id = (t.ended->>'id')::uuid AND f.type = 'event_phone_call_ended'
JOIN calls c ON c.id <> f.call_id AND c.ended_at IS NOT NULL;

INSERT INTO ledger_entries (organization_id, id, kind, call_id, meter, rate_card_id, currency, billable_millis, billed_seconds, amount_micros, recorded_at)
SELECT c.organization_id, gen_random_uuid(), 'usage', c.id, 'call_time', c.rate_card_id, c.rate_currency, c.billable_millis, c.billed_seconds, c.amount_micros, c.ended_at
FROM bench.template t
JOIN calls c ON c.id <> (t.ended->>'id')::uuid AND c.ended_at IS NOT NULL;

-- Ongoing: one each second or, in the other organisation, each 50 milliseconds.
INSERT INTO calls
SELECT c.*
FROM bench.template t
CROSS JOIN (VALUES ('few', 1000, interval '1 second'), ('many', 20000, interval '50 milliseconds')) AS g(name, count, apart)
JOIN bench.tenant n USING (name)
JOIN bench.organization o USING (organization_id)
CROSS JOIN LATERAL generate_series(1, g.count) k
CROSS JOIN LATERAL bench.copy(t.live, o.organization_id, o.agent_id, o.account_id, o.rate_card_id, gen_random_uuid(), 'CA' || md5(g.name || k), k * g.apart) c;

-- Calls in progress, so that they can be ended.
CREATE FUNCTION bench.make(p_organization_id uuid, p_sids text[])
RETURNS TABLE (id uuid, sid text)
LANGUAGE sql
AS $$
    INSERT INTO calls
    SELECT c.*
    FROM bench.template t
    JOIN bench.organization o ON o.organization_id = p_organization_id
    CROSS JOIN unnest(p_sids) sid
    CROSS JOIN LATERAL bench.copy(t.live, o.organization_id, o.agent_id, o.account_id, o.rate_card_id, gen_random_uuid(), sid, interval '0') c
    RETURNING calls.id, calls.provider_call_id
$$;

-- What calls belong to, from long before the calls, and receivers that want all, some or none of
-- their events.

INSERT INTO organizations (organization_id, name, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'One', '2026-01-01Z');
INSERT INTO agents (organization_id, id, name, created_at) VALUES
    ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002', 'Agent', '2026-01-01Z'),
    ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000005', 'Another', '2026-01-01Z');
INSERT INTO provider_accounts (organization_id, id, provider, external_id, name,
    credentials_sealed, credentials_key_id, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000003',
    'twilio', 'AC1', 'Account', '', 'key', '2026-01-01Z');
INSERT INTO rate_cards (organization_id, id, provider, currency, price_micros, price_seconds,
    increment_seconds, minimum_seconds, valid_from)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000004',
    'twilio', 'USD', 14000, 60, 7, 3, '2026-01-01Z');
INSERT INTO webhook_endpoints (organization_id, id, agent_id, url, events, timeout_seconds,
    secret_sealed, secret_key_id, created_at, disabled_at, deleted_at)
SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), agent_id, 'https://example.com/',
    events, 30, '', 'key', '2026-01-01Z', disabled_at, deleted_at
FROM (VALUES
    (NULL::uuid, '{}'::text[], NULL::timestamptz, NULL::timestamptz),
    ('00000000-0000-0000-0000-000000000002', '{event_phone_call_ended}', NULL, NULL),
    ('00000000-0000-0000-0000-000000000005', '{}', NULL, NULL),
    (NULL, '{}', '2026-01-02Z', NULL),
    (NULL, '{}', NULL, '2026-01-02Z')
) AS endpoints (agent_id, events, disabled_at, deleted_at);

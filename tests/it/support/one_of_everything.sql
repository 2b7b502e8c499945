-- Organisation 1 has one row in every table, organisation 2 has nothing. The call rings.

INSERT INTO organizations (organization_id, name, created_at) VALUES
    ('00000000-0000-0000-0000-000000000001', 'One', '2026-01-01Z'),
    ('00000000-0000-0000-0000-000000000002', 'Two', '2026-01-01Z');
INSERT INTO agents (organization_id, id, name, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000a',
    'Agent', '2026-01-01Z');
INSERT INTO tokens (organization_id, id, name, digest, prefix, environment, scopes, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000b',
    'Token', decode(repeat('00', 32), 'hex'), 'prefix', 'live', '{}', '2026-01-01Z');
INSERT INTO provider_accounts (organization_id, id, provider, external_id, name,
    credentials_sealed, credentials_key_id, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000c',
    'twilio', 'AC1', 'Account', '', 'key', '2026-01-01Z');
INSERT INTO phone_numbers (organization_id, id, number, provider_account_id, agent_id,
    created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000d',
    '+12025550100', '00000000-0000-0000-0000-00000000000c',
    '00000000-0000-0000-0000-00000000000a', '2026-01-01Z');
INSERT INTO rate_cards (organization_id, id, provider, currency, price_micros, price_seconds,
    increment_seconds, minimum_seconds, valid_from)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000e',
    'twilio', 'USD', 14000, 60, 60, 0, '2026-01-01Z');
INSERT INTO idempotency_keys (organization_id, route, key, token_id, request_hash, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'create', 'key',
    '00000000-0000-0000-0000-00000000000b', '', '2026-01-01Z');
INSERT INTO audit_entries (organization_id, id, at, actor, action, subject)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000010',
    '2026-01-01Z', 'token', 'call.create', 'call');
INSERT INTO audit_seals (organization_id, number, entry_id, hash, sealed_at)
VALUES ('00000000-0000-0000-0000-000000000001', 1, '00000000-0000-0000-0000-000000000010',
    sha256(''), '2026-01-01Z');
INSERT INTO calls (organization_id, id, agent_id, provider, provider_account_id,
    provider_call_id, version, last_sequence, status, direction, from_number, to_number, test,
    max_duration_seconds, ring_timeout_seconds, dial_state, created_at, heard_at, rate_card_id)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000f',
    '00000000-0000-0000-0000-00000000000a', 'twilio', '00000000-0000-0000-0000-00000000000c',
    'CA1', 1, 1, 'ringing', 'outbound', '+12025550100', '+12025550101', false,
    600, 30, 'placed', '2026-01-01 10:00Z', '2026-01-01 10:00Z',
    '00000000-0000-0000-0000-00000000000e');
INSERT INTO call_facts (organization_id, call_id, sequence, type, from_status, to_status, at,
    recorded_at, data)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000f', 1,
    'event_phone_call_ringing', 'initiating', 'ringing', '2026-01-01 10:00Z',
    '2026-01-01 10:00Z', '{}');
INSERT INTO jobs (organization_id, id, kind, call_id, due_at, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000011',
    'hang_up_call', '00000000-0000-0000-0000-00000000000f', '2026-01-01Z', '2026-01-01Z');
INSERT INTO hangup_attempts (organization_id, call_id, id, started_at, finished_at, outcome)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000f',
    '00000000-0000-0000-0000-000000000012', '2026-01-01Z', '2026-01-01Z', 'accepted');
INSERT INTO ledger_entries (organization_id, id, kind, call_id, meter, rate_card_id, currency,
    billable_millis, billed_seconds, amount_micros, recorded_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000013',
    'usage', '00000000-0000-0000-0000-00000000000f', 'call_time',
    '00000000-0000-0000-0000-00000000000e', 'USD', 1, 60, 14000, '2026-01-01Z');
INSERT INTO callback_receipts (organization_id, provider_account_id, receipt_key, call_id,
    state, received_at, body)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000c',
    'receipt', '00000000-0000-0000-0000-00000000000f', 'applied', '2026-01-01Z', '{}');
INSERT INTO webhook_endpoints (organization_id, id, agent_id, url, timeout_seconds,
    secret_sealed, secret_key_id, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000014',
    '00000000-0000-0000-0000-00000000000a', 'https://example.com/', 30, '', 'key',
    '2026-01-01Z');
INSERT INTO webhook_deliveries (organization_id, endpoint_id, call_id, sequence, state, due_at,
    created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000014',
    '00000000-0000-0000-0000-00000000000f', 1, 'pending', '2026-01-01Z', '2026-01-01Z');
INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt,
    started_at, duration_millis)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000014',
    '00000000-0000-0000-0000-00000000000f', 1, 1, '2026-01-01Z', 1);
INSERT INTO listeners (organization_id, provider_account_id, subject, lease, lease_until)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000c', '',
    '00000000-0000-0000-0000-000000000099', '2026-01-01Z');
INSERT INTO organization_events (organization_id, id, type, at, data)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000015',
    'webhook.test', '2026-01-01Z', '{}');
INSERT INTO gateway_leases (organization_id, endpoint_id, lease, lease_until)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000014',
    '00000000-0000-0000-0000-000000000098', '2026-01-01Z');
INSERT INTO people (id, email, email_key, name, password_hash, created_at)
VALUES ('00000000-0000-0000-0000-000000000015', 'one@example.com', 'one@example.com', 'One',
    '$argon2id$', '2026-01-01Z');
INSERT INTO members (organization_id, person_id, role, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000015', 'owner',
    '2026-01-01Z');
INSERT INTO invitations (organization_id, id, email, email_key, role, token_digest, invited_by,
    created_at, expires_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000016',
    'two@example.com', 'two@example.com', 'viewer', decode(repeat('00', 32), 'hex'), 'token',
    '2026-01-01Z', '2026-01-08Z');
INSERT INTO sessions (id, person_id, created_at, refreshed_at, expires_at)
VALUES ('00000000-0000-0000-0000-000000000017', '00000000-0000-0000-0000-000000000015',
    '2026-01-01Z', '2026-01-01Z', '2026-01-15Z');
INSERT INTO refresh_tokens (digest, session_id, created_at)
VALUES (decode(repeat('00', 32), 'hex'), '00000000-0000-0000-0000-000000000017', '2026-01-01Z');
INSERT INTO mail_links (digest, person_id, purpose, created_at, expires_at)
VALUES (decode(repeat('00', 32), 'hex'), '00000000-0000-0000-0000-000000000015', 'verify_email',
    '2026-01-01Z', '2026-01-04Z');
INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
VALUES ('00000000-0000-0000-0000-000000000018', '', 'key', '2026-01-01Z', '2026-01-01Z');
INSERT INTO throttles (key, spent_until) VALUES (decode(repeat('00', 32), 'hex'), '2026-01-01Z');
INSERT INTO access_token_keys (id, public_key, seed_sealed, seed_key_id, created_at, signs_from)
VALUES ('00000000-0000-0000-0000-000000000019', decode(repeat('00', 32), 'hex'), '', 'key',
    '2026-01-01Z', '2026-01-01Z');

//! What cannot happen, done to the sound data of this folder by the schema's owner.

/// What is done to the data, and the checks that must notice.
pub(super) const BREACHES: [(&str, &[&str]); 30] = [
    (
        "INSERT INTO people (id, email, email_key, name, password_hash, created_at)
        VALUES ('00000000-0000-0000-0000-0000000000aa', 'a@example.com', 'a@example.com', 'A', '$argon2id$', now());
        INSERT INTO members (organization_id, person_id, role, created_at)
        SELECT organization_id, '00000000-0000-0000-0000-0000000000aa', 'admin', now() FROM organizations LIMIT 1",
        &["an_organization_with_members_has_an_owner"],
    ),
    (
        "ALTER TABLE calls DROP CONSTRAINT calls_sound;
        UPDATE calls SET ended_side = 'local' WHERE provider_call_id = 'CA6'",
        &["a_call_that_is_over_is_whole"],
    ),
    (
        "ALTER TABLE calls DROP CONSTRAINT calls_sound;
        UPDATE calls SET answered_at = created_at - interval '1 second' WHERE provider_call_id = 'CA6'",
        &["a_call_that_is_over_is_whole"],
    ),
    (
        "ALTER TABLE calls DROP CONSTRAINT calls_sound;
        UPDATE calls SET billable_millis = 10001 WHERE provider_call_id = 'CA1';
        UPDATE ledger_entries SET billable_millis = 10001
        WHERE call_id = (SELECT id FROM calls WHERE provider_call_id = 'CA1')",
        &["a_call_that_is_over_is_whole", "nobody_pays_past_the_wish"],
    ),
    (
        "UPDATE call_facts SET type = 'event_phone_call_error' WHERE type = 'event_phone_call_ended'",
        &["a_call_ends_once"],
    ),
    (
        "UPDATE call_facts SET type = 'event_phone_call_ended' WHERE type = 'event_phone_call_connected'
            AND call_id = (SELECT id FROM calls WHERE provider_call_id = 'CA6')",
        &["a_call_ends_once", "an_event_is_queued_for_its_endpoints"],
    ),
    (
        "UPDATE call_facts SET data = jsonb_set(data, '{call,ended_reason}', '\"busy\"')
        WHERE type = 'event_phone_call_ended'",
        &["the_ended_event_tells_the_call"],
    ),
    (
        "UPDATE call_facts SET data = jsonb_set(data, '{call,ended_at}', '\"2027-01-15T08:00:20.001Z\"')
        WHERE type = 'event_phone_call_ended'",
        &["the_ended_event_tells_the_call"],
    ),
    (
        "DELETE FROM call_facts WHERE type = 'event_phone_call_billed'",
        &["a_delivery_has_its_event", "events_are_numbered_densely"],
    ),
    (
        "UPDATE call_facts SET sequence = 7 WHERE type = 'event_phone_call_billed'
            AND call_id = (SELECT id FROM calls WHERE provider_call_id = 'CA2')",
        &["a_delivery_has_its_event", "an_event_is_queued_for_its_endpoints", "events_are_numbered_densely"],
    ),
    (
        "UPDATE call_facts SET from_status = 'ringing' WHERE type = 'event_phone_call_ringing'",
        &["events_are_a_chain_of_legal_moves"],
    ),
    (
        "UPDATE calls SET status = 'ringing' WHERE provider_call_id = 'CA6'",
        &["events_are_a_chain_of_legal_moves"],
    ),
    (
        "UPDATE calls SET wish_reason = 'admin_cancel' WHERE provider_call_id = 'CA4'",
        &["a_wish_keeps_its_promise"],
    ),
    (
        "DELETE FROM jobs WHERE kind = 'hang_up_call'",
        &["a_wish_is_carried_out"],
    ),
    (
        "UPDATE call_facts SET data = data - 'error'",
        &["a_wish_is_carried_out"],
    ),
    (
        "DELETE FROM jobs WHERE call_id IN (SELECT id FROM calls WHERE dial_state = 'in_flight')",
        &["a_dial_is_seen_to", "a_wish_is_carried_out"],
    ),
    (
        "DELETE FROM jobs WHERE call_id IN (SELECT id FROM calls WHERE dial_state = 'queued')",
        &["a_dial_is_seen_to"],
    ),
    (
        "INSERT INTO jobs (organization_id, id, kind, call_id, due_at, created_at)
        SELECT organization_id, gen_random_uuid(), 'dial_call', id, created_at + interval '40 seconds', created_at - interval '1 hour'
        FROM calls WHERE provider_call_id = 'CA2'",
        &["a_call_that_is_over_has_no_job"],
    ),
    ("DELETE FROM audit_entries", &["a_wish_is_in_the_audit_log"]),
    ("DELETE FROM ledger_entries", &["a_call_is_billed_once"]),
    (
        "INSERT INTO ledger_entries
        SELECT organization_id, gen_random_uuid(), 'usage', id, 'call_time', rate_card_id, rate_currency,
            billable_millis, billed_seconds, amount_micros, created_at
        FROM calls WHERE test",
        &["a_call_is_billed_once"],
    ),
    (
        "UPDATE ledger_entries SET amount_micros = amount_micros + 1",
        &["the_price_is_the_pinned_rates"],
    ),
    (
        "UPDATE calls SET rate_price_micros = 1 WHERE provider_call_id = 'CA6'",
        &["the_price_is_the_pinned_rates"],
    ),
    (
        "INSERT INTO ledger_entries
        SELECT organization_id, gen_random_uuid(), 'correction', id, 'call_time', rate_card_id, rate_currency,
            0, 0, -1, created_at
        FROM calls WHERE provider_call_id = 'CA6'",
        &["a_correction_corrects_something"],
    ),
    (
        "DELETE FROM webhook_deliveries WHERE sequence = 1",
        &["an_event_is_queued_for_its_endpoints"],
    ),
    (
        "UPDATE webhook_deliveries
        SET state = 'delivered', due_at = NULL, closed_at = created_at, lease = gen_random_uuid()",
        &["a_delivery_is_due_or_done"],
    ),
    (
        "UPDATE jobs SET lease = gen_random_uuid(), due_at = '2100-01-01Z';
        UPDATE webhook_deliveries SET due_at = '2020-01-01Z'",
        &["leases_run_out", "nothing_due_waits"],
    ),
    (
        "INSERT INTO idempotency_keys (organization_id, route, key, token_id, request_hash, created_at)
        SELECT organization_id, 'calls', 'key', gen_random_uuid(), '', '2026-01-01Z' FROM organizations;
        INSERT INTO callback_receipts (organization_id, provider_account_id, receipt_key, state, received_at, body,
            provider_call_id, observation)
        SELECT organization_id, provider_account_id, 'key', 'parked', '2026-01-01Z', '{}', provider_call_id, '{}'
        FROM calls WHERE provider_call_id = 'CA1'",
        &["a_report_finds_its_call", "an_idempotency_key_gets_its_answer"],
    ),
    (
        "CREATE UNIQUE INDEX ON calls (id)",
        &["a_tenants_keys_begin_with_the_organization"],
    ),
    (
        "GRANT UPDATE ON call_facts TO onhook_application",
        &["history_is_only_added_to"],
    ),
];

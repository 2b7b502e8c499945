-- What an end costs PostgreSQL, once more. Nothing is refused or written that was not before.

-- PostgreSQL reads every CHECK of a table anew from its text for each statement that writes to it; the
-- CHECK of a domain it reads once in a session. So a rule about one value is a domain's.
CREATE DOMAIN job_kind AS text
    CONSTRAINT jobs_kind_check CHECK (VALUE IN ('dial_call', 'hang_up_call', 'answer_call', 'instruct_call'));
CREATE DOMAIN delivery_state AS text
    CONSTRAINT webhook_deliveries_state_check CHECK (VALUE IN ('pending', 'delivered', 'dead'));
CREATE DOMAIN fact_sequence AS bigint CONSTRAINT call_facts_sequence_check CHECK (VALUE >= 1);
CREATE DOMAIN ledger_entry_kind AS text
    CONSTRAINT ledger_entries_kind_check CHECK (VALUE IN ('usage', 'correction'));
CREATE DOMAIN meter AS text CONSTRAINT ledger_entries_meter_check CHECK (VALUE = 'call_time');
CREATE DOMAIN billable_millis AS bigint CONSTRAINT ledger_entries_billable_millis_check CHECK (VALUE >= 0);

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check, ALTER kind TYPE job_kind;
ALTER TABLE call_facts DROP CONSTRAINT call_facts_sequence_check, ALTER sequence TYPE fact_sequence;
ALTER TABLE ledger_entries
    DROP CONSTRAINT ledger_entries_kind_check,
    DROP CONSTRAINT ledger_entries_meter_check,
    DROP CONSTRAINT ledger_entries_billable_millis_check,
    ALTER kind TYPE ledger_entry_kind,
    ALTER meter TYPE meter,
    ALTER billable_millis TYPE billable_millis;
ALTER TABLE webhook_deliveries
    DROP CONSTRAINT webhook_deliveries_state_check,
    ALTER state TYPE delivery_state,
    DROP CONSTRAINT webhook_deliveries_due_while_pending,
    DROP CONSTRAINT webhook_deliveries_closed_when_done,
    ADD CONSTRAINT webhook_deliveries_due_while_pending
        CHECK ((state = 'pending') = (due_at IS NOT NULL) AND (due_at IS NULL) = (closed_at IS NOT NULL));

-- What a change of a call leaves as it is needs no rule that is looked at with each change.
CREATE DOMAIN call_provider AS text
    CONSTRAINT calls_provider_check CHECK (VALUE IN ('twilio', 'telnyx', 'vonage', 'sip', 'openai'));
CREATE DOMAIN call_direction AS text CONSTRAINT calls_direction_check CHECK (VALUE IN ('outbound', 'inbound'));
CREATE DOMAIN client_reference AS text
    CONSTRAINT calls_client_reference_check CHECK (length(VALUE) BETWEEN 1 AND 255);
CREATE DOMAIN call_metadata AS jsonb CONSTRAINT calls_metadata_check CHECK (jsonb_typeof(VALUE) = 'object');
CREATE DOMAIN max_duration_seconds AS integer
    CONSTRAINT calls_max_duration_seconds_check CHECK (VALUE BETWEEN 1 AND 86400);
CREATE DOMAIN ring_timeout_seconds AS integer
    CONSTRAINT calls_ring_timeout_seconds_check CHECK (VALUE BETWEEN 5 AND 600);

ALTER TABLE calls DROP CONSTRAINT calls_sound;
ALTER TABLE calls
    ALTER provider TYPE call_provider,
    ALTER direction TYPE call_direction,
    ALTER client_reference TYPE client_reference,
    ALTER metadata TYPE call_metadata,
    ALTER max_duration_seconds TYPE max_duration_seconds,
    ALTER ring_timeout_seconds TYPE ring_timeout_seconds;

CREATE OR REPLACE FUNCTION call_is_sound(c calls)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
AS $$
DECLARE
    -- The first by name of the rules that the call breaks, as PostgreSQL would say. As with any
    -- CHECK, one that is unknown is not broken.
    v_broken text := CASE
        WHEN NOT (c.billable_millis IS NULL OR c.billable_millis = 0 OR (
            c.billable_millis > 0 AND c.answered_at IS NOT NULL AND c.ended_at IS NOT NULL
            AND c.answered_at + c.billable_millis * interval '1 millisecond' <= c.ended_at
        ))
            THEN 'calls_billable_within_call'
        WHEN NOT (c.dial_state IN ('queued', 'in_flight', 'unknown', 'placed')) THEN 'calls_dial_state_check'
        WHEN NOT (c.ended_side IN ('local', 'remote', 'provider')) THEN 'calls_ended_side_check'
        WHEN NOT (c.wish_state IS NULL OR c.ended_at IS NULL
            OR (c.ended_at = c.wish_requested_at AND c.ended_reason = c.wish_reason))
            THEN 'calls_ended_when_wished'
        WHEN NOT (c.last_sequence >= 1) THEN 'calls_last_sequence_check'
        WHEN NOT (c.ended_at IS NOT NULL OR (c.ended_reason IS NULL AND c.ended_side IS NULL)) THEN 'calls_live_has_no_end'
        WHEN NOT ((c.dial_state = 'placed') = (c.provider_call_id IS NOT NULL)) THEN 'calls_placed_has_provider_id'
        WHEN NOT ((c.amount_micros IS NOT NULL) = (c.ended_at IS NOT NULL AND c.rate_card_id IS NOT NULL))
            THEN 'calls_priced_when_over'
        WHEN NOT (length(c.provider_call_id) BETWEEN 1 AND 200) THEN 'calls_provider_call_id_check'
        WHEN NOT (length(c.provider_host) BETWEEN 1 AND 255) THEN 'calls_provider_host_check'
        WHEN NOT (c.status IN ('initiating', 'ringing', 'in-progress', 'completed', 'failed', 'busy', 'no-answer', 'canceled'))
            THEN 'calls_status_check'
        WHEN NOT ((c.status IN ('completed', 'failed', 'busy', 'no-answer', 'canceled'))
            = (c.ended_at IS NOT NULL AND c.ended_reason IS NOT NULL AND c.ended_side IS NOT NULL))
            THEN 'calls_terminal_has_end'
        WHEN NOT (c.created_at <= coalesce(c.answered_at, c.created_at)
            AND coalesce(c.answered_at, c.created_at) <= coalesce(c.ended_at, 'infinity'))
            THEN 'calls_times_in_order'
        WHEN NOT (c.version >= 1) THEN 'calls_version_check'
        WHEN NOT ((c.wish_state IS NULL) = (c.wish_requested_at IS NULL)
            AND (c.wish_state IS NULL) = (c.wish_reason IS NULL)
            AND (c.wish_state IS NULL) = (c.wish_initiator IS NULL)
            AND (c.wish_state IS NULL) = (c.wish_attempts IS NULL))
            THEN 'calls_wish_is_whole'
        WHEN NOT (c.wish_state IN ('requested', 'accepted', 'confirmed', 'unconfirmed', 'failed')) THEN 'calls_wish_state_check'
    END;
BEGIN
    IF v_broken IS NULL THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'the call violates check constraint "%"', v_broken
        USING ERRCODE = 'check_violation', TABLE = 'calls', CONSTRAINT = v_broken;
END
$$;
ALTER TABLE calls ADD CONSTRAINT calls_sound CHECK (call_is_sound(calls.*)) NOT VALID;

-- An effect that a change does not have is not in p_effects.
CREATE OR REPLACE FUNCTION write_effects(p_organization_id uuid, p_call_id uuid, p_agent_id uuid, p_effects jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_at timestamptz := (p_effects->>'at')::timestamptz;
BEGIN
    IF p_effects ? 'facts' THEN
        INSERT INTO call_facts (organization_id, call_id, sequence, type, from_status, to_status, at, recorded_at, data)
        SELECT p_organization_id, p_call_id, f.sequence, f.type, f.from_status, f.to_status, f.at, v_at, f.data
        FROM jsonb_to_recordset(p_effects->'facts')
            AS f(sequence bigint, type text, from_status text, to_status text, at timestamptz, data jsonb);

        INSERT INTO webhook_deliveries (organization_id, endpoint_id, call_id, sequence, state, due_at, created_at)
        SELECT p_organization_id, e.id, p_call_id, f.sequence, 'pending', v_at, v_at
        FROM webhook_endpoints e
        CROSS JOIN jsonb_to_recordset(p_effects->'facts') AS f(sequence bigint, type text)
        WHERE e.organization_id = p_organization_id
            AND e.deleted_at IS NULL
            AND e.disabled_at IS NULL
            AND (e.agent_id IS NULL OR e.agent_id = p_agent_id)
            AND (e.events = '{}' OR f.type = ANY (e.events));
    END IF;

    IF p_effects ? 'drop_jobs' THEN
        DELETE FROM jobs WHERE organization_id = p_organization_id AND call_id = p_call_id;
    END IF;

    IF p_effects ? 'jobs' THEN
        -- A job that exists for the call does the work already.
        INSERT INTO jobs (organization_id, id, kind, call_id, due_at, attempt, lease, created_at)
        SELECT p_organization_id, j.id, j.kind, p_call_id, j.due_at, j.attempt, j.lease, v_at
        FROM jsonb_to_recordset(p_effects->'jobs')
            AS j(id uuid, kind text, due_at timestamptz, attempt integer, lease uuid)
        ON CONFLICT (organization_id, call_id, kind) DO NOTHING;
    END IF;

    IF p_effects ? 'finish_job' THEN
        DELETE FROM jobs
        WHERE organization_id = p_organization_id
            AND id = (p_effects->'finish_job'->>'id')::uuid
            AND lease = (p_effects->'finish_job'->>'lease')::uuid;
    END IF;

    IF p_effects ? 'run_job_again' THEN
        UPDATE jobs SET due_at = (p_effects->'run_job_again'->>'due_at')::timestamptz, lease = NULL
        WHERE organization_id = p_organization_id
            AND id = (p_effects->'run_job_again'->>'id')::uuid
            AND lease = (p_effects->'run_job_again'->>'lease')::uuid;
    END IF;

    IF p_effects ? 'attempt' THEN
        INSERT INTO hangup_attempts (organization_id, call_id, id, started_at, finished_at, outcome, provider_status, provider_code, provider_message)
        SELECT p_organization_id, p_call_id, a.id, a.started_at, a.finished_at, a.outcome, a.provider_status, a.provider_code, a.provider_message
        FROM jsonb_to_record(p_effects->'attempt')
            AS a(id uuid, started_at timestamptz, finished_at timestamptz, outcome text, provider_status integer, provider_code text, provider_message text);
    END IF;

    IF p_effects ? 'usage' THEN
        INSERT INTO ledger_entries (organization_id, id, kind, call_id, meter, rate_card_id, currency, billable_millis, billed_seconds, amount_micros, recorded_at)
        SELECT p_organization_id, u.id, 'usage', p_call_id, u.meter, u.rate_card_id, u.currency, u.billable_millis, u.billed_seconds, u.amount_micros, v_at
        FROM jsonb_to_record(p_effects->'usage')
            AS u(id uuid, meter text, rate_card_id uuid, currency text, billable_millis bigint, billed_seconds bigint, amount_micros bigint);
    END IF;

    IF p_effects ? 'receipt' THEN
        INSERT INTO callback_receipts (organization_id, provider_account_id, receipt_key, call_id, state, received_at, body)
        SELECT p_organization_id, r.provider_account_id, r.receipt_key, p_call_id, 'applied', v_at, r.body
        FROM jsonb_to_record(p_effects->'receipt')
            AS r(provider_account_id uuid, receipt_key text, body jsonb)
        ON CONFLICT (organization_id, provider_account_id, receipt_key)
            DO UPDATE SET state = 'applied', call_id = excluded.call_id;
    END IF;

    IF p_effects ? 'audit' THEN
        INSERT INTO audit_entries (organization_id, id, at, actor, action, subject, address, request_id, detail)
        SELECT p_organization_id, a.id, v_at, a.actor, a.action, p_call_id::text, a.address, a.request_id, a.detail
        FROM jsonb_to_record(p_effects->'audit')
            AS a(id uuid, actor text, action text, address text, request_id text, detail jsonb);
    END IF;

    IF p_effects ? 'idempotency' THEN
        INSERT INTO idempotency_keys (organization_id, route, key, token_id, request_hash, status, answer_sealed, answer_key_id, created_at)
        SELECT p_organization_id, i.route, i.key, i.token_id, decode(i.request_hash, 'hex'), i.status, decode(i.answer_sealed, 'hex'), i.answer_key_id, v_at
        FROM jsonb_to_record(p_effects->'idempotency')
            AS i(route text, key text, token_id uuid, request_hash text, status smallint, answer_sealed text, answer_key_id text);
    END IF;
END
$$;

-- The values one by one: read from JSON they took a third of the update.
DROP FUNCTION apply_change(uuid, uuid, bigint, jsonb, jsonb);
CREATE FUNCTION apply_change(
    p_organization_id uuid,
    p_call_id uuid,
    p_version bigint,
    p_last_sequence bigint,
    p_status text,
    p_provider_call_id text,
    p_provider_host text,
    p_dial_state text,
    p_dial_started_at timestamptz,
    p_ringing_at timestamptz,
    p_answered_at timestamptz,
    p_ended_at timestamptz,
    p_ended_reason text,
    p_ended_side text,
    p_provider_cause jsonb,
    p_heard_at timestamptz,
    p_wish_state text,
    p_wish_requested_at timestamptz,
    p_wish_reason text,
    p_wish_initiator text,
    p_wish_note text,
    p_wish_attempts integer,
    p_wish_retry_at timestamptz,
    p_wish_confirmed_by text,
    p_wish_confirmed_at timestamptz,
    p_billable_millis bigint,
    p_billed_seconds bigint,
    p_amount_micros bigint,
    p_effects jsonb
)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_agent_id uuid;
BEGIN
    UPDATE calls c SET
        version = p_version + 1,
        last_sequence = p_last_sequence,
        status = p_status,
        provider_call_id = p_provider_call_id,
        provider_host = p_provider_host,
        dial_state = p_dial_state,
        dial_started_at = p_dial_started_at,
        ringing_at = p_ringing_at,
        answered_at = p_answered_at,
        ended_at = p_ended_at,
        ended_reason = p_ended_reason,
        ended_side = p_ended_side,
        provider_cause = p_provider_cause,
        heard_at = p_heard_at,
        wish_state = p_wish_state,
        wish_requested_at = p_wish_requested_at,
        wish_reason = p_wish_reason,
        wish_initiator = p_wish_initiator,
        wish_note = p_wish_note,
        wish_attempts = p_wish_attempts,
        wish_retry_at = p_wish_retry_at,
        wish_confirmed_by = p_wish_confirmed_by,
        wish_confirmed_at = p_wish_confirmed_at,
        billable_millis = p_billable_millis,
        billed_seconds = p_billed_seconds,
        amount_micros = p_amount_micros
    WHERE c.organization_id = p_organization_id
        AND c.id = p_call_id
        AND c.version = p_version
        AND c.ended_at IS NULL
    RETURNING c.agent_id INTO v_agent_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM write_effects(p_organization_id, p_call_id, v_agent_id, p_effects);
    RETURN true;
END
$$;
COMMENT ON FUNCTION apply_change IS 'Writes a decided change of a live call if its version is still p_version; false: somebody was faster.';
REVOKE ALL ON FUNCTION apply_change FROM PUBLIC;
GRANT EXECUTE ON FUNCTION apply_change TO onhook_application;

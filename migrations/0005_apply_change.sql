-- The one door through which a call changes. The functions decide nothing: they write, in one
-- statement, what the application decided, if the call is still the one it decided on.
-- Instants are arguments: there is no now() here.

CREATE FUNCTION write_effects(p_organization_id uuid, p_call_id uuid, p_agent_id uuid, p_effects jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_at timestamptz := (p_effects->>'at')::timestamptz;
BEGIN
    IF p_effects->'facts' <> '[]' THEN
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

    IF (p_effects->>'drop_jobs')::boolean THEN
        DELETE FROM jobs WHERE organization_id = p_organization_id AND call_id = p_call_id;
    END IF;

    IF p_effects->'jobs' <> '[]' THEN
        -- A job that exists for the call does the work already.
        INSERT INTO jobs (organization_id, id, kind, call_id, due_at, attempt, lease, created_at)
        SELECT p_organization_id, j.id, j.kind, p_call_id, j.due_at, j.attempt, j.lease, v_at
        FROM jsonb_to_recordset(p_effects->'jobs')
            AS j(id uuid, kind text, due_at timestamptz, attempt integer, lease uuid)
        ON CONFLICT (organization_id, call_id, kind) DO NOTHING;
    END IF;

    IF p_effects->'finish_job' <> 'null' THEN
        DELETE FROM jobs
        WHERE organization_id = p_organization_id
            AND id = (p_effects->'finish_job'->>'id')::uuid
            AND lease = (p_effects->'finish_job'->>'lease')::uuid;
    END IF;

    IF p_effects->'run_job_again' <> 'null' THEN
        UPDATE jobs SET due_at = (p_effects->'run_job_again'->>'due_at')::timestamptz, lease = NULL
        WHERE organization_id = p_organization_id
            AND id = (p_effects->'run_job_again'->>'id')::uuid
            AND lease = (p_effects->'run_job_again'->>'lease')::uuid;
    END IF;

    IF p_effects->'attempt' <> 'null' THEN
        INSERT INTO hangup_attempts (organization_id, call_id, id, started_at, finished_at, outcome, provider_status, provider_code, provider_message)
        SELECT p_organization_id, p_call_id, a.id, a.started_at, a.finished_at, a.outcome, a.provider_status, a.provider_code, a.provider_message
        FROM jsonb_to_record(p_effects->'attempt')
            AS a(id uuid, started_at timestamptz, finished_at timestamptz, outcome text, provider_status integer, provider_code text, provider_message text);
    END IF;

    IF p_effects->'usage' <> 'null' THEN
        INSERT INTO ledger_entries (organization_id, id, kind, call_id, meter, rate_card_id, currency, billable_millis, billed_seconds, amount_micros, recorded_at)
        SELECT p_organization_id, u.id, 'usage', p_call_id, u.meter, u.rate_card_id, u.currency, u.billable_millis, u.billed_seconds, u.amount_micros, v_at
        FROM jsonb_to_record(p_effects->'usage')
            AS u(id uuid, meter text, rate_card_id uuid, currency text, billable_millis bigint, billed_seconds bigint, amount_micros bigint);
    END IF;

    IF p_effects->'receipt' <> 'null' THEN
        INSERT INTO callback_receipts (organization_id, provider_account_id, receipt_key, call_id, state, received_at, body)
        SELECT p_organization_id, r.provider_account_id, r.receipt_key, p_call_id, 'applied', v_at, r.body
        FROM jsonb_to_record(p_effects->'receipt')
            AS r(provider_account_id uuid, receipt_key text, body jsonb)
        ON CONFLICT (organization_id, provider_account_id, receipt_key)
            DO UPDATE SET state = 'applied', call_id = excluded.call_id;
    END IF;

    IF p_effects->'audit' <> 'null' THEN
        INSERT INTO audit_entries (organization_id, id, at, actor, action, subject, address, request_id, detail)
        SELECT p_organization_id, a.id, v_at, a.actor, a.action, p_call_id::text, a.address, a.request_id, a.detail
        FROM jsonb_to_record(p_effects->'audit')
            AS a(id uuid, actor text, action text, address text, request_id text, detail jsonb);
    END IF;

    IF p_effects->'idempotency' <> 'null' THEN
        INSERT INTO idempotency_keys (organization_id, route, key, token_id, request_hash, status, answer_sealed, answer_key_id, created_at)
        SELECT p_organization_id, i.route, i.key, i.token_id, decode(i.request_hash, 'hex'), i.status, decode(i.answer_sealed, 'hex'), i.answer_key_id, v_at
        FROM jsonb_to_record(p_effects->'idempotency')
            AS i(route text, key text, token_id uuid, request_hash text, status smallint, answer_sealed text, answer_key_id text);
    END IF;
END
$$;
COMMENT ON FUNCTION write_effects IS 'Writes all that accompanies a change of a call. Called by create_call and apply_change only.';

CREATE FUNCTION create_call(p_organization_id uuid, p_call jsonb, p_effects jsonb)
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    INSERT INTO calls
    SELECT n.* FROM jsonb_populate_record(NULL::calls, p_call || jsonb_build_object('organization_id', p_organization_id)) n;
    PERFORM write_effects(p_organization_id, (p_call->>'id')::uuid, (p_call->>'agent_id')::uuid, p_effects);
END
$$;
COMMENT ON FUNCTION create_call IS 'Records a call with its first fact, its job, and the answer to its idempotency key.';

CREATE FUNCTION apply_change(p_organization_id uuid, p_call_id uuid, p_version bigint, p_call jsonb, p_effects jsonb)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    v_agent_id uuid;
BEGIN
    UPDATE calls c SET
        version = p_version + 1,
        last_sequence = n.last_sequence,
        status = n.status,
        provider_call_id = n.provider_call_id,
        dial_state = n.dial_state,
        dial_started_at = n.dial_started_at,
        ringing_at = n.ringing_at,
        answered_at = n.answered_at,
        ended_at = n.ended_at,
        ended_reason = n.ended_reason,
        ended_side = n.ended_side,
        provider_cause = n.provider_cause,
        heard_at = n.heard_at,
        wish_state = n.wish_state,
        wish_requested_at = n.wish_requested_at,
        wish_reason = n.wish_reason,
        wish_initiator = n.wish_initiator,
        wish_note = n.wish_note,
        wish_attempts = n.wish_attempts,
        wish_retry_at = n.wish_retry_at,
        wish_confirmed_by = n.wish_confirmed_by,
        wish_confirmed_at = n.wish_confirmed_at,
        billable_millis = n.billable_millis,
        billed_seconds = n.billed_seconds,
        amount_micros = n.amount_micros
    FROM jsonb_populate_record(NULL::calls, p_call) n
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

CREATE FUNCTION change_call_settings(p_organization_id uuid, p_call_id uuid, p_metadata jsonb, p_max_duration_seconds integer, p_most_bytes integer)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    v_metadata jsonb;
BEGIN
    SELECT (metadata || p_metadata) - ARRAY(SELECT key FROM jsonb_each(p_metadata) WHERE value = 'null')
    INTO v_metadata
    FROM calls
    WHERE organization_id = p_organization_id AND id = p_call_id
    FOR UPDATE;
    IF octet_length(v_metadata::text) > p_most_bytes THEN
        RETURN false;
    END IF;
    UPDATE calls SET
        metadata = v_metadata,
        max_duration_seconds = CASE
            WHEN ended_at IS NULL THEN coalesce(p_max_duration_seconds, max_duration_seconds)
            ELSE max_duration_seconds
        END
    WHERE organization_id = p_organization_id AND id = p_call_id;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION change_call_settings IS 'Merges metadata (a null member removes its key) and changes the limit of a live call; false: it would become larger than p_most_bytes, or there is no such call.';

REVOKE ALL ON FUNCTION write_effects, create_call, apply_change, change_call_settings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION create_call, apply_change, change_call_settings TO onhook_application;

-- What an end costs PostgreSQL. Nothing is refused or written that was not before.

-- PostgreSQL reads and prepares every CHECK of a table anew for each statement that writes to it: the
-- 22 of calls took two thirds of an update. A function is prepared once in a session. It refuses with
-- the names of the rules.
CREATE FUNCTION call_is_sound(c calls)
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
            AND c.billable_millis <= extract(epoch FROM c.ended_at - c.answered_at) * 1000
        ))
            THEN 'calls_billable_within_call'
        WHEN NOT (length(c.client_reference) BETWEEN 1 AND 255) THEN 'calls_client_reference_check'
        WHEN NOT (c.dial_state IN ('queued', 'in_flight', 'unknown', 'placed')) THEN 'calls_dial_state_check'
        WHEN NOT (c.direction IN ('outbound', 'inbound')) THEN 'calls_direction_check'
        WHEN NOT (c.ended_side IN ('local', 'remote', 'provider')) THEN 'calls_ended_side_check'
        WHEN NOT (c.wish_state IS NULL OR c.ended_at IS NULL
            OR (c.ended_at = c.wish_requested_at AND c.ended_reason = c.wish_reason))
            THEN 'calls_ended_when_wished'
        WHEN NOT (c.last_sequence >= 1) THEN 'calls_last_sequence_check'
        WHEN NOT (c.ended_at IS NOT NULL OR (c.ended_reason IS NULL AND c.ended_side IS NULL)) THEN 'calls_live_has_no_end'
        WHEN NOT (c.max_duration_seconds BETWEEN 1 AND 86400) THEN 'calls_max_duration_seconds_check'
        WHEN NOT (jsonb_typeof(c.metadata) = 'object') THEN 'calls_metadata_check'
        WHEN NOT ((c.dial_state = 'placed') = (c.provider_call_id IS NOT NULL)) THEN 'calls_placed_has_provider_id'
        WHEN NOT ((c.amount_micros IS NOT NULL) = (c.ended_at IS NOT NULL AND c.rate_card_id IS NOT NULL))
            THEN 'calls_priced_when_over'
        WHEN NOT (length(c.provider_call_id) BETWEEN 1 AND 200) THEN 'calls_provider_call_id_check'
        WHEN NOT (c.provider IN ('twilio', 'telnyx', 'vonage', 'sip', 'openai')) THEN 'calls_provider_check'
        WHEN NOT (length(c.provider_host) BETWEEN 1 AND 255) THEN 'calls_provider_host_check'
        WHEN NOT (c.ring_timeout_seconds BETWEEN 5 AND 600) THEN 'calls_ring_timeout_seconds_check'
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
COMMENT ON FUNCTION call_is_sound IS 'What holds for every call; raises the name of the rule that does not.';
REVOKE ALL ON FUNCTION call_is_sound FROM PUBLIC;

-- Every row holds by the same rules already, so looking at each would only keep the table locked.
ALTER TABLE calls
    DROP CONSTRAINT calls_version_check,
    DROP CONSTRAINT calls_last_sequence_check,
    DROP CONSTRAINT calls_provider_check,
    DROP CONSTRAINT calls_provider_call_id_check,
    DROP CONSTRAINT calls_provider_host_check,
    DROP CONSTRAINT calls_status_check,
    DROP CONSTRAINT calls_direction_check,
    DROP CONSTRAINT calls_client_reference_check,
    DROP CONSTRAINT calls_metadata_check,
    DROP CONSTRAINT calls_max_duration_seconds_check,
    DROP CONSTRAINT calls_ring_timeout_seconds_check,
    DROP CONSTRAINT calls_dial_state_check,
    DROP CONSTRAINT calls_ended_side_check,
    DROP CONSTRAINT calls_wish_state_check,
    DROP CONSTRAINT calls_terminal_has_end,
    DROP CONSTRAINT calls_live_has_no_end,
    DROP CONSTRAINT calls_times_in_order,
    DROP CONSTRAINT calls_wish_is_whole,
    DROP CONSTRAINT calls_ended_when_wished,
    DROP CONSTRAINT calls_priced_when_over,
    DROP CONSTRAINT calls_billable_within_call,
    DROP CONSTRAINT calls_placed_has_provider_id,
    ADD CONSTRAINT calls_sound CHECK (call_is_sound(calls)) NOT VALID;

-- The members are taken out one by one: making a whole row of the table's type from the document took
-- longer. And the queue of jobs is mostly empty when its plans are made, which made PostgreSQL read all
-- of it, dead rows included, for each end: plans in here use the indexes.
CREATE OR REPLACE FUNCTION apply_change(p_organization_id uuid, p_call_id uuid, p_version bigint, p_call jsonb, p_effects jsonb)
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
        last_sequence = (p_call->>'last_sequence')::bigint,
        status = p_call->>'status',
        provider_call_id = p_call->>'provider_call_id',
        provider_host = p_call->>'provider_host',
        dial_state = p_call->>'dial_state',
        dial_started_at = (p_call->>'dial_started_at')::timestamptz,
        ringing_at = (p_call->>'ringing_at')::timestamptz,
        answered_at = (p_call->>'answered_at')::timestamptz,
        ended_at = (p_call->>'ended_at')::timestamptz,
        ended_reason = p_call->>'ended_reason',
        ended_side = p_call->>'ended_side',
        provider_cause = nullif(p_call->'provider_cause', 'null'),
        heard_at = (p_call->>'heard_at')::timestamptz,
        wish_state = p_call->>'wish_state',
        wish_requested_at = (p_call->>'wish_requested_at')::timestamptz,
        wish_reason = p_call->>'wish_reason',
        wish_initiator = p_call->>'wish_initiator',
        wish_note = p_call->>'wish_note',
        wish_attempts = (p_call->>'wish_attempts')::integer,
        wish_retry_at = (p_call->>'wish_retry_at')::timestamptz,
        wish_confirmed_by = p_call->>'wish_confirmed_by',
        wish_confirmed_at = (p_call->>'wish_confirmed_at')::timestamptz,
        billable_millis = (p_call->>'billable_millis')::bigint,
        billed_seconds = (p_call->>'billed_seconds')::bigint,
        amount_micros = (p_call->>'amount_micros')::bigint
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

ALTER FUNCTION create_call SET enable_seqscan = off;

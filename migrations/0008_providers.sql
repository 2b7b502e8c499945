-- Every provider; calls that come in, which are told what to do by jobs; reports that are faster
-- than their call; websockets that one node holds for all.

ALTER TABLE provider_accounts
    DROP CONSTRAINT provider_accounts_provider_check,
    ADD CONSTRAINT provider_accounts_provider_check CHECK (provider IN ('twilio', 'telnyx', 'vonage', 'sip', 'openai'));

ALTER TABLE rate_cards
    DROP CONSTRAINT rate_cards_provider_check,
    ADD CONSTRAINT rate_cards_provider_check CHECK (provider IN ('twilio', 'telnyx', 'vonage', 'sip', 'openai'));

-- Every row of calls holds by the narrower rule already, so looking at each would only keep the
-- table locked.
ALTER TABLE calls
    DROP CONSTRAINT calls_provider_check,
    ADD CONSTRAINT calls_provider_check CHECK (provider IN ('twilio', 'telnyx', 'vonage', 'sip', 'openai')) NOT VALID,
    ADD COLUMN provider_host text CHECK (length(provider_host) BETWEEN 1 AND 255);
COMMENT ON COLUMN calls.provider_host IS 'The host at which the provider keeps the call, where it told of one.';

ALTER TABLE jobs
    DROP CONSTRAINT jobs_kind_check,
    ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('dial_call', 'hang_up_call', 'answer_call', 'instruct_call'));

ALTER TABLE callback_receipts
    ADD COLUMN provider_call_id text,
    ADD COLUMN observation jsonb,
    ADD CONSTRAINT callback_receipts_parked_is_whole CHECK (
        state <> 'parked' OR (call_id IS NULL AND provider_call_id IS NOT NULL AND observation IS NOT NULL)
    );
CREATE INDEX callback_receipts_parked ON callback_receipts (organization_id, provider_account_id, provider_call_id)
    WHERE state = 'parked';
COMMENT ON COLUMN callback_receipts.provider_call_id IS 'The call that a parked report is about, by the provider''s name for it.';
COMMENT ON COLUMN callback_receipts.observation IS 'What a parked report tells, as it was read.';

CREATE TABLE listeners (
    organization_id uuid NOT NULL,
    provider_account_id uuid NOT NULL,
    subject text NOT NULL,
    lease uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    PRIMARY KEY (organization_id, provider_account_id, subject),
    FOREIGN KEY (organization_id, provider_account_id) REFERENCES provider_accounts (organization_id, id)
);
COMMENT ON TABLE listeners IS 'Which node holds which websocket to a provider.';
COMMENT ON COLUMN listeners.subject IS 'Empty: the account; else the id of the call that the websocket is about.';
COMMENT ON COLUMN listeners.lease_until IS 'When another node may open it.';
GRANT SELECT, INSERT, UPDATE, DELETE ON listeners TO onhook_application;

CREATE OR REPLACE FUNCTION apply_change(p_organization_id uuid, p_call_id uuid, p_version bigint, p_call jsonb, p_effects jsonb)
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
        provider_host = n.provider_host,
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

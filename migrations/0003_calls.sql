-- Calls, what happened to them, what is to be done for them, what they cost.

CREATE TABLE calls (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    agent_id uuid NOT NULL,
    provider text NOT NULL CHECK (provider IN ('twilio')),
    provider_account_id uuid NOT NULL,
    provider_call_id text CHECK (length(provider_call_id) BETWEEN 1 AND 200),
    version bigint NOT NULL CHECK (version >= 1),
    last_sequence bigint NOT NULL CHECK (last_sequence >= 1),
    status text NOT NULL CHECK (status IN ('initiating', 'ringing', 'in-progress', 'completed', 'failed', 'busy', 'no-answer', 'canceled')),
    direction text NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    from_number text NOT NULL,
    to_number text NOT NULL,
    client_reference text CHECK (length(client_reference) BETWEEN 1 AND 255),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    test boolean NOT NULL,
    max_duration_seconds integer NOT NULL CHECK (max_duration_seconds BETWEEN 1 AND 86400),
    ring_timeout_seconds integer NOT NULL CHECK (ring_timeout_seconds BETWEEN 5 AND 600),
    dial_state text NOT NULL CHECK (dial_state IN ('queued', 'in_flight', 'unknown', 'placed')),
    dial_started_at timestamptz,
    created_at timestamptz NOT NULL,
    ringing_at timestamptz,
    answered_at timestamptz,
    ended_at timestamptz,
    ended_reason text,
    ended_side text CHECK (ended_side IN ('local', 'remote', 'provider')),
    provider_cause jsonb,
    heard_at timestamptz NOT NULL,
    wish_state text CHECK (wish_state IN ('requested', 'accepted', 'confirmed', 'unconfirmed', 'failed')),
    wish_requested_at timestamptz,
    wish_reason text,
    wish_initiator text,
    wish_note text,
    wish_attempts integer,
    wish_retry_at timestamptz,
    wish_confirmed_by text,
    wish_confirmed_at timestamptz,
    rate_card_id uuid,
    rate_currency text,
    rate_price_micros bigint,
    rate_price_seconds integer,
    rate_increment_seconds integer,
    rate_minimum_seconds integer,
    billable_millis bigint,
    billed_seconds bigint,
    amount_micros bigint,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, provider_account_id, provider_call_id),
    UNIQUE (organization_id, client_reference),
    FOREIGN KEY (organization_id, agent_id) REFERENCES agents (organization_id, id),
    FOREIGN KEY (organization_id, provider_account_id) REFERENCES provider_accounts (organization_id, id),
    FOREIGN KEY (organization_id, rate_card_id) REFERENCES rate_cards (organization_id, id),
    CONSTRAINT calls_terminal_has_end CHECK (
        (status IN ('completed', 'failed', 'busy', 'no-answer', 'canceled'))
        = (ended_at IS NOT NULL AND ended_reason IS NOT NULL AND ended_side IS NOT NULL)
    ),
    CONSTRAINT calls_live_has_no_end CHECK (ended_at IS NOT NULL OR (ended_reason IS NULL AND ended_side IS NULL)),
    CONSTRAINT calls_times_in_order CHECK (
        created_at <= coalesce(answered_at, created_at)
        AND coalesce(answered_at, created_at) <= coalesce(ended_at, 'infinity')
    ),
    CONSTRAINT calls_wish_is_whole CHECK (
        (wish_state IS NULL) = (wish_requested_at IS NULL)
        AND (wish_state IS NULL) = (wish_reason IS NULL)
        AND (wish_state IS NULL) = (wish_initiator IS NULL)
        AND (wish_state IS NULL) = (wish_attempts IS NULL)
    ),
    CONSTRAINT calls_ended_when_wished CHECK (wish_state IS NULL OR ended_at IS NULL OR (ended_at = wish_requested_at AND ended_reason = wish_reason)),
    CONSTRAINT calls_priced_when_over CHECK ((amount_micros IS NOT NULL) = (ended_at IS NOT NULL AND rate_card_id IS NOT NULL)),
    CONSTRAINT calls_billable_within_call CHECK (
        billable_millis IS NULL OR billable_millis = 0 OR (
            billable_millis > 0 AND answered_at IS NOT NULL AND ended_at IS NOT NULL
            AND billable_millis <= extract(epoch FROM ended_at - answered_at) * 1000
        )
    ),
    CONSTRAINT calls_placed_has_provider_id CHECK ((dial_state = 'placed') = (provider_call_id IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX calls_newest ON calls (organization_id, created_at DESC, id DESC);
CREATE INDEX calls_ongoing ON calls (organization_id, created_at DESC, id DESC) WHERE ended_at IS NULL;
CREATE INDEX calls_provider_call_id ON calls (organization_id, provider_call_id);
COMMENT ON TABLE calls IS 'Phone calls. Changed through apply_change and create_call only.';
COMMENT ON COLUMN calls.version IS 'Counts every change; a change is applied only to the version it was decided on.';
COMMENT ON COLUMN calls.last_sequence IS 'The number of the newest fact.';
COMMENT ON COLUMN calls.dial_state IS 'queued: not sent; in_flight: answer not recorded; unknown: answer lost; placed: the provider has it.';
COMMENT ON COLUMN calls.heard_at IS 'When we last had evidence of the call''s state.';
COMMENT ON COLUMN calls.wish_requested_at IS 'When a wish to end was accepted; becomes ended_at.';
COMMENT ON COLUMN calls.billable_millis IS 'From the answer to the end, never past the acceptance of a wish to end.';

CREATE TABLE call_facts (
    organization_id uuid NOT NULL,
    call_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 1),
    type text NOT NULL,
    from_status text NOT NULL,
    to_status text NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    position xid8 NOT NULL DEFAULT pg_current_xact_id(),
    data jsonb NOT NULL,
    PRIMARY KEY (organization_id, call_id, sequence),
    FOREIGN KEY (organization_id, call_id) REFERENCES calls (organization_id, id)
);
CREATE UNIQUE INDEX call_facts_one_end ON call_facts (organization_id, call_id) WHERE type = 'event_phone_call_ended';
COMMENT ON TABLE call_facts IS 'What happened to calls, as published. Append-only.';
COMMENT ON COLUMN call_facts.position IS 'The transaction that wrote the fact: readers stop below the oldest running one.';
COMMENT ON COLUMN call_facts.data IS 'The event''s data: the call as it was at that moment.';

CREATE TABLE jobs (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('dial_call', 'hang_up_call')),
    call_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    lease uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, call_id, kind),
    FOREIGN KEY (organization_id, call_id) REFERENCES calls (organization_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX jobs_due ON jobs (due_at);
COMMENT ON TABLE jobs IS 'Durable intentions. A finished job is deleted.';
COMMENT ON COLUMN jobs.due_at IS 'When the job may be taken: its schedule, or the end of the lease of whoever works on it.';
COMMENT ON COLUMN jobs.lease IS 'The fence: only its holder finishes or reschedules the job. Null: nobody works on it.';

CREATE TABLE hangup_attempts (
    organization_id uuid NOT NULL,
    call_id uuid NOT NULL,
    id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    outcome text NOT NULL,
    provider_status integer,
    provider_code text,
    provider_message text,
    PRIMARY KEY (organization_id, call_id, id),
    FOREIGN KEY (organization_id, call_id) REFERENCES calls (organization_id, id)
);
COMMENT ON TABLE hangup_attempts IS 'Each request to hang up and what the provider answered: the receipt of an end.';

CREATE TABLE ledger_entries (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('usage', 'correction')),
    call_id uuid NOT NULL,
    meter text NOT NULL CHECK (meter IN ('call_time')),
    rate_card_id uuid NOT NULL,
    currency text NOT NULL,
    billable_millis bigint NOT NULL CHECK (billable_millis >= 0),
    billed_seconds bigint NOT NULL,
    amount_micros bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, call_id) REFERENCES calls (organization_id, id),
    FOREIGN KEY (organization_id, rate_card_id) REFERENCES rate_cards (organization_id, id)
);
CREATE UNIQUE INDEX ledger_entries_one_usage ON ledger_entries (organization_id, call_id, meter) WHERE kind = 'usage';
COMMENT ON TABLE ledger_entries IS 'What calls cost. Append-only; corrections are new entries.';

CREATE TABLE callback_receipts (
    organization_id uuid NOT NULL,
    provider_account_id uuid NOT NULL,
    receipt_key text NOT NULL,
    call_id uuid,
    state text NOT NULL CHECK (state IN ('applied', 'stale', 'parked')),
    received_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (organization_id, provider_account_id, receipt_key),
    FOREIGN KEY (organization_id, provider_account_id) REFERENCES provider_accounts (organization_id, id),
    FOREIGN KEY (organization_id, call_id) REFERENCES calls (organization_id, id)
);
COMMENT ON TABLE callback_receipts IS 'The inbox: each provider callback once. parked: its call is not known yet.';

-- Calls, facts and the ledger are written by functions alone.
GRANT SELECT ON calls, call_facts, ledger_entries TO onhook_application;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO onhook_application;
GRANT SELECT, INSERT ON hangup_attempts TO onhook_application;
GRANT SELECT, INSERT, UPDATE ON callback_receipts TO onhook_application;

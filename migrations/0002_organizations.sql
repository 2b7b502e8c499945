-- Tenants and what they own besides calls. Every primary and unique key of a tenant's table begins
-- with organization_id and children reference the pair, so the database itself refuses a link
-- across tenants and every table can be distributed by organisation.

CREATE TABLE organizations (
    organization_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL,
    verified_at timestamptz,
    suspended_at timestamptz
);
COMMENT ON TABLE organizations IS 'Tenants.';
COMMENT ON COLUMN organizations.verified_at IS 'Ending by the terminate route asks for a verified account.';
COMMENT ON COLUMN organizations.suspended_at IS 'A suspended organisation may end and read, not dial.';

CREATE TABLE agents (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    published_at timestamptz,
    PRIMARY KEY (organization_id, id)
);
COMMENT ON TABLE agents IS 'Voice agents, which place and take calls.';
COMMENT ON COLUMN agents.settings IS 'What the callee hears, and default limits: domain/agent.rs.';
COMMENT ON COLUMN agents.published_at IS 'Null: no new calls; those that live go on.';

CREATE TABLE tokens (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    prefix text NOT NULL,
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    scopes text[] NOT NULL,
    agent_ids uuid[],
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, digest)
);
-- Who calls is not known before the token is found, so this one look-up has no organisation.
CREATE INDEX tokens_digest ON tokens (digest);
COMMENT ON TABLE tokens IS 'API tokens; the token itself is not here.';
COMMENT ON COLUMN tokens.digest IS 'HMAC-SHA-256 of the token under the pepper.';
COMMENT ON COLUMN tokens.agent_ids IS 'The only agents the token may act for; null: all.';

CREATE TABLE provider_accounts (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider IN ('twilio')),
    external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 200),
    name text NOT NULL,
    api_base_url text,
    simulated boolean NOT NULL DEFAULT false,
    credentials_sealed bytea NOT NULL,
    credentials_key_id text NOT NULL,
    created_at timestamptz NOT NULL,
    disconnected_at timestamptz,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, provider, external_id)
);
-- A callback names the account in its path, and the organisation is found by it.
CREATE INDEX provider_accounts_id ON provider_accounts (id);
COMMENT ON TABLE provider_accounts IS 'Accounts at providers.';
COMMENT ON COLUMN provider_accounts.external_id IS 'The provider''s name for the account, for example AC… at Twilio.';
COMMENT ON COLUMN provider_accounts.api_base_url IS 'Null: the provider''s own host.';
COMMENT ON COLUMN provider_accounts.credentials_sealed IS 'JSON, sealed with XChaCha20-Poly1305 under the key named by credentials_key_id.';

CREATE TABLE phone_numbers (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number text NOT NULL CHECK (number ~ '^\+[1-9][0-9]{1,14}$'),
    provider_account_id uuid NOT NULL,
    agent_id uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, number),
    FOREIGN KEY (organization_id, provider_account_id) REFERENCES provider_accounts (organization_id, id),
    FOREIGN KEY (organization_id, agent_id) REFERENCES agents (organization_id, id)
);
COMMENT ON TABLE phone_numbers IS 'Numbers at providers, and the agents that use them.';

CREATE TABLE rate_cards (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider IN ('twilio')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    price_micros bigint NOT NULL CHECK (price_micros >= 0),
    price_seconds integer NOT NULL CHECK (price_seconds > 0),
    increment_seconds integer NOT NULL CHECK (increment_seconds > 0),
    minimum_seconds integer NOT NULL CHECK (minimum_seconds >= 0),
    valid_from timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, provider, valid_from)
);
COMMENT ON TABLE rate_cards IS 'Price lists, append-only. The newest that is valid is pinned on a call at its creation.';
COMMENT ON COLUMN rate_cards.price_micros IS 'Price of price_seconds seconds, in millionths of the currency''s unit.';

CREATE TABLE idempotency_keys (
    organization_id uuid NOT NULL REFERENCES organizations,
    route text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    token_id uuid NOT NULL,
    request_hash bytea NOT NULL,
    status smallint,
    answer_sealed bytea,
    answer_key_id text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, route, key),
    FOREIGN KEY (organization_id, token_id) REFERENCES tokens (organization_id, id)
);
COMMENT ON TABLE idempotency_keys IS 'Idempotency-Key headers seen, and the answers given. Kept for at least 24 hours.';
COMMENT ON COLUMN idempotency_keys.status IS 'Null: the operation is running.';
COMMENT ON COLUMN idempotency_keys.answer_sealed IS 'Sealed: an answer may show a secret once.';

CREATE TABLE audit_entries (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    address text,
    request_id text,
    detail jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX audit_entries_subject ON audit_entries (organization_id, subject);
COMMENT ON TABLE audit_entries IS 'Who did what. Append-only.';

GRANT SELECT, INSERT, UPDATE ON organizations, agents, tokens, provider_accounts, phone_numbers TO onhook_application;
GRANT SELECT, INSERT ON rate_cards, audit_entries TO onhook_application;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO onhook_application;

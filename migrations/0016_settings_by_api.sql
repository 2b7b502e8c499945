-- Tokens, agents, accounts and numbers are made and changed over the API: what that needs beyond the
-- command line's inserts, and the list of the audit log.

-- One entry of the audit log, in the statement of the change that it tells of.
CREATE FUNCTION record_act(p_organization_id uuid, p_act jsonb)
RETURNS boolean
LANGUAGE sql
AS $$
    INSERT INTO audit_entries (organization_id, id, at, actor, action, subject, address, request_id, detail)
    SELECT p_organization_id, a.id, a.at, a.actor, a.action, a.subject, a.address, a.request_id, a.detail
    FROM jsonb_to_record(p_act)
        AS a(id uuid, at timestamptz, actor text, action text, subject text, address text, request_id text, detail jsonb);
    SELECT true
$$;
COMMENT ON FUNCTION record_act IS 'Writes an audit entry. For statements that change what is no call.';

-- The list of the audit log, newest first.
CREATE INDEX audit_entries_newest ON audit_entries (organization_id, at DESC, id DESC);

ALTER TABLE tokens
    ADD COLUMN source_addresses text[],
    ADD COLUMN created_by text,
    ADD COLUMN last_used_at timestamptz,
    ADD COLUMN replaced_by uuid;
COMMENT ON COLUMN tokens.source_addresses IS 'The only networks the token may be used from, in CIDR notation; null: any.';
COMMENT ON COLUMN tokens.created_by IS 'Who made it, as the audit log names him; null: not known.';
COMMENT ON COLUMN tokens.last_used_at IS 'About when it was last used: written every few seconds, for many uses at once.';
COMMENT ON COLUMN tokens.replaced_by IS 'The token that rotation put in its place.';

ALTER TABLE agents
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN updated_at timestamptz,
    ADD COLUMN deleted_at timestamptz;
COMMENT ON COLUMN agents.version IS 'Counts the changes; a change is written only to the version it was made for.';
COMMENT ON COLUMN agents.deleted_at IS 'Its calls stay; nothing else knows it any more.';

ALTER TABLE provider_accounts
    ADD COLUMN rotated_at timestamptz,
    ADD COLUMN last_callback_at timestamptz;
COMMENT ON COLUMN provider_accounts.last_callback_at IS 'About when its provider last reported: written every few seconds, for many reports at once.';
COMMENT ON COLUMN provider_accounts.rotated_at IS 'When its credentials were last replaced; null: never.';

ALTER TABLE phone_numbers
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN inbound boolean NOT NULL DEFAULT true,
    ADD COLUMN outbound boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN phone_numbers.inbound IS 'Whether calls to the number are taken by its agent.';
COMMENT ON COLUMN phone_numbers.outbound IS 'Whether calls are placed from the number.';
GRANT DELETE ON phone_numbers TO onhook_application;

-- A call is recorded only while its agent and its account are there, and neither goes while a call
-- lives on it. Whoever records a call holds the rows that whoever removes them must have; each
-- statement of a function sees what was committed while the one before it waited.

CREATE FUNCTION may_be_recorded(p_organization_id uuid, p_agent_id uuid, p_account_id uuid)
RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM agents
    WHERE organization_id = p_organization_id AND id = p_agent_id AND deleted_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM FROM provider_accounts
    WHERE organization_id = p_organization_id AND id = p_account_id AND disconnected_at IS NULL FOR KEY SHARE;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION may_be_recorded IS 'Whether the agent and the account of a new call are there, and stay until it is recorded.';

CREATE FUNCTION delete_agent(p_organization_id uuid, p_agent_id uuid, p_act jsonb)
RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM agents
    WHERE organization_id = p_organization_id AND id = p_agent_id AND deleted_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'missing';
    END IF;
    IF EXISTS (
        SELECT FROM calls
        WHERE organization_id = p_organization_id AND agent_id = p_agent_id AND ended_at IS NULL
    ) THEN
        RETURN 'in_use';
    END IF;
    UPDATE agents SET deleted_at = (p_act->>'at')::timestamptz, published_at = NULL, version = version + 1
    WHERE organization_id = p_organization_id AND id = p_agent_id;
    UPDATE phone_numbers SET agent_id = NULL, version = version + 1
    WHERE organization_id = p_organization_id AND agent_id = p_agent_id;
    PERFORM record_act(p_organization_id, p_act);
    RETURN 'done';
END
$$;
COMMENT ON FUNCTION delete_agent IS 'Removes an agent that has no live call, and takes its numbers from it.';

CREATE FUNCTION disconnect_account(p_organization_id uuid, p_account_id uuid, p_act jsonb)
RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM provider_accounts
    WHERE organization_id = p_organization_id AND id = p_account_id AND disconnected_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'missing';
    END IF;
    IF EXISTS (
        SELECT FROM calls
        WHERE organization_id = p_organization_id AND provider_account_id = p_account_id AND ended_at IS NULL
    ) THEN
        RETURN 'in_use';
    END IF;
    UPDATE provider_accounts
    SET disconnected_at = (p_act->>'at')::timestamptz, credentials_sealed = ''
    WHERE organization_id = p_organization_id AND id = p_account_id;
    PERFORM record_act(p_organization_id, p_act);
    RETURN 'done';
END
$$;
COMMENT ON FUNCTION disconnect_account IS 'Disconnects an account on which no call lives, and forgets its credentials.';

REVOKE ALL ON FUNCTION record_act, may_be_recorded, delete_agent, disconnect_account FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_act, may_be_recorded, delete_agent, disconnect_account TO onhook_application;

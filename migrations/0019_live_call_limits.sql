-- How many calls may live at once, of an organisation and of an agent. The calls themselves are counted
-- whenever one is placed: a counter beside them would drift from them.

ALTER TABLE organizations ADD COLUMN most_live_calls integer CHECK (most_live_calls >= 0);
ALTER TABLE agents ADD COLUMN most_live_calls integer CHECK (most_live_calls >= 0);
COMMENT ON COLUMN organizations.most_live_calls IS 'Calls that may live at once; beyond it none is placed. Null: as the node is configured.';
COMMENT ON COLUMN agents.most_live_calls IS 'Calls of the agent that may live at once; null: as many as of its organisation.';

-- Counting alone would let two calls take the last place. So there is a lock for each organisation, held
-- until the statement is committed. While more places are free than statements can run on this server at
-- once, it is shared: however many share it, they cannot take the last place between them. Nearer to the
-- limit one has it alone. So only the calls of an organisation that is nearly full wait for each other, and
-- nothing else ever does: an end frees its place by its own commit.
CREATE FUNCTION place_call(p_organization_id uuid, p_call jsonb, p_effects jsonb, p_most_live_calls integer, p_alone boolean)
RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_agent_id uuid := (p_call->>'agent_id')::uuid;
    v_lock bigint := hashtextextended('live calls ' || p_organization_id::text, 0);
    v_at_once integer := current_setting('max_connections')::integer;
    v_most integer;
    v_most_of_agent integer;
    v_live bigint;
    v_of_agent bigint;
    v_shared boolean;
BEGIN
    SELECT coalesce(o.most_live_calls, p_most_live_calls), a.most_live_calls
    INTO v_most, v_most_of_agent
    FROM organizations o
    LEFT JOIN agents a ON a.organization_id = o.organization_id AND a.id = v_agent_id
    WHERE o.organization_id = p_organization_id;
    IF v_most IS NULL AND v_most_of_agent IS NULL THEN
        PERFORM create_call(p_organization_id, p_call, p_effects);
        RETURN 'placed';
    END IF;
    v_shared := NOT p_alone AND v_most_of_agent IS NULL AND v_most > v_at_once;
    IF v_shared THEN
        PERFORM pg_advisory_xact_lock_shared(v_lock);
    ELSE
        PERFORM pg_advisory_xact_lock(v_lock);
    END IF;
    SELECT count(*) INTO v_live FROM (
        SELECT FROM calls
        WHERE organization_id = p_organization_id AND ended_at IS NULL
        LIMIT v_most
    ) live;
    IF v_live >= v_most THEN
        RETURN 'organization_full';
    END IF;
    IF v_shared AND v_live + v_at_once >= v_most THEN
        RETURN 'nearly_full';
    END IF;
    IF v_most_of_agent IS NOT NULL THEN
        SELECT count(*) INTO v_of_agent FROM (
            SELECT FROM calls
            WHERE organization_id = p_organization_id AND ended_at IS NULL AND agent_id = v_agent_id
            LIMIT v_most_of_agent
        ) live;
        IF v_of_agent >= v_most_of_agent THEN
            RETURN 'agent_full';
        END IF;
    END IF;
    PERFORM create_call(p_organization_id, p_call, p_effects);
    RETURN 'placed';
END
$$;
COMMENT ON FUNCTION place_call IS 'create_call, if the organisation and the agent have a place left: placed, organization_full or agent_full. nearly_full: nothing was decided; call it again with p_alone.';
REVOKE ALL ON FUNCTION place_call FROM PUBLIC;
GRANT EXECUTE ON FUNCTION place_call TO onhook_application;

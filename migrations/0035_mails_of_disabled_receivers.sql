-- Whoever is in charge of an organisation is mailed when one of its receivers is disabled by itself. The
-- mails are queued by the statement that disables it, with the event and the audit entry: none of them
-- can be lost, and none comes twice.

CREATE FUNCTION record_disabling(p_organization_id uuid, p_disabling jsonb)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    v_at timestamptz := p_disabling #>> '{act,at}';
BEGIN
    PERFORM record_act(p_organization_id, p_disabling -> 'act');
    PERFORM record_organization_event(p_organization_id, (p_disabling ->> 'event_id')::uuid,
        p_disabling ->> 'event_type', v_at, p_disabling -> 'data', NULL);
    INSERT INTO mails (id, mail_sealed, mail_key_id, created_at, due_at)
    SELECT m.id, decode(m.sealed, 'base64'), m.key_id, v_at, v_at
    FROM jsonb_to_recordset(p_disabling -> 'mails') AS m(id uuid, sealed text, key_id text);
    RETURN true;
END
$$;
COMMENT ON FUNCTION record_disabling IS 'Tells of a receiver that the same statement disabled: audit entry, event, mails.';
REVOKE ALL ON FUNCTION record_disabling FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_disabling TO onhook_application;

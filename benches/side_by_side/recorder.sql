-- Puts a recorder before apply_change, to learn what one end writes.

CREATE SCHEMA bench;
CREATE TABLE bench.applied (
    number bigint GENERATED ALWAYS AS IDENTITY,
    call_id uuid, version bigint, call jsonb, effects jsonb
);
CREATE TABLE bench.template (live jsonb NOT NULL, ended jsonb NOT NULL);
CREATE TABLE bench.tenant (name text PRIMARY KEY, organization_id uuid NOT NULL);

ALTER FUNCTION apply_change RENAME TO apply_change_itself;
CREATE FUNCTION apply_change(p_organization_id uuid, p_call_id uuid, p_version bigint, p_call jsonb, p_effects jsonb)
RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
BEGIN
    IF NOT apply_change_itself(p_organization_id, p_call_id, p_version, p_call, p_effects) THEN
        RETURN false;
    END IF;
    INSERT INTO bench.applied (call_id, version, call, effects) VALUES (p_call_id, p_version, p_call, p_effects);
    RETURN true;
END
$$;

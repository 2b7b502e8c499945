-- Puts a recorder before apply_change, to learn what one end writes.

CREATE SCHEMA bench;
CREATE TABLE bench.applied (
    number bigint GENERATED ALWAYS AS IDENTITY,
    call_id uuid, version bigint, call jsonb, effects jsonb
);
CREATE TABLE bench.template (live jsonb NOT NULL, ended jsonb NOT NULL);
CREATE TABLE bench.tenant (name text PRIMARY KEY, organization_id uuid NOT NULL);

ALTER FUNCTION apply_change RENAME TO apply_change_itself;
-- With the same parameters, whatever they are.
DO $do$
DECLARE
    v_itself regproc := 'apply_change_itself';
    v_names text[] := (SELECT proargnames FROM pg_proc WHERE oid = v_itself);
BEGIN
    EXECUTE format(
        $function$
        CREATE FUNCTION apply_change(%s)
        RETURNS boolean
        LANGUAGE plpgsql
        SECURITY DEFINER
        SET search_path = public, pg_temp
        AS $$
        BEGIN
            IF NOT apply_change_itself(%s) THEN
                RETURN false;
            END IF;
            INSERT INTO bench.applied (call_id, version, call, effects)
            SELECT c.id, p_version, to_jsonb(c), p_effects
            FROM calls c
            WHERE c.organization_id = p_organization_id AND c.id = p_call_id;
            RETURN true;
        END
        $$
        $function$,
        pg_get_function_arguments(v_itself),
        array_to_string(v_names, ', ')
    );
END
$do$;

-- The log of attempts is the largest table of a busy deployment and of use for a month: it is kept in
-- a partition for each day, and an old day is dropped whole.

ALTER TABLE webhook_attempts RENAME TO webhook_attempts_before;
ALTER TABLE webhook_attempts_before RENAME CONSTRAINT webhook_attempts_pkey TO webhook_attempts_before_pkey;

CREATE TABLE webhook_attempts (
    organization_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    call_id uuid NOT NULL,
    sequence bigint NOT NULL,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_millis integer NOT NULL,
    request_url text,
    request_headers jsonb,
    response_status integer,
    response_headers jsonb,
    response_body text,
    failure text,
    PRIMARY KEY (organization_id, endpoint_id, call_id, sequence, attempt, started_at),
    FOREIGN KEY (organization_id, endpoint_id) REFERENCES webhook_endpoints (organization_id, id)
) PARTITION BY RANGE (started_at);
COMMENT ON TABLE webhook_attempts IS 'Each attempt to deliver: what was sent, and what the receiver answered (first 20 kB). A partition for each day.';
COMMENT ON COLUMN webhook_attempts.request_headers IS 'As sent, without the values of the receiver''s own headers, which may be secrets. The body is the event.';

CREATE TABLE webhook_attempts_default PARTITION OF webhook_attempts DEFAULT;
COMMENT ON TABLE webhook_attempts_default IS 'Attempts of days for which there was no partition when they were made.';

INSERT INTO webhook_attempts (organization_id, endpoint_id, call_id, sequence, attempt, started_at,
    duration_millis, response_status, response_body, failure)
SELECT organization_id, endpoint_id, call_id, sequence, attempt, started_at, duration_millis,
    response_status, response_body, failure
FROM webhook_attempts_before;
DROP TABLE webhook_attempts_before;

GRANT SELECT, INSERT ON webhook_attempts TO onhook_application;

CREATE FUNCTION keep_attempt_partitions(p_now timestamptz, p_kept_days integer, p_ahead_days integer)
RETURNS TABLE (made integer, dropped integer)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
-- Making and dropping wait for those who write attempts: rather later than holding them up.
SET lock_timeout = '2s'
AS $$
DECLARE
    v_today date := (p_now AT TIME ZONE 'UTC')::date;
    v_day date;
    v_name text;
BEGIN
    made := 0;
    dropped := 0;
    -- One node at a time.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('keep_attempt_partitions', 0)) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    FOR v_day IN SELECT v_today + n FROM generate_series(0, p_ahead_days) AS n LOOP
        v_name := 'webhook_attempts_' || to_char(v_day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(v_name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I PARTITION OF webhook_attempts FOR VALUES FROM (%L) TO (%L)',
                v_name, v_day || ' 00:00:00Z', (v_day + 1) || ' 00:00:00Z');
            EXECUTE format('COMMENT ON TABLE %I IS %L', v_name, 'Attempts of ' || v_day || ' (UTC).');
            made := made + 1;
        EXCEPTION
            -- Attempts of that day are in the default partition already: the rest of it goes there too.
            WHEN check_violation THEN NULL;
        END;
    END LOOP;
    FOR v_name IN
        SELECT c.relname
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'webhook_attempts'::regclass
            AND c.relname ~ '^webhook_attempts_[0-9]{8}$'
            AND to_date(right(c.relname, 8), 'YYYYMMDD') < v_today - p_kept_days
    LOOP
        EXECUTE format('DROP TABLE %I', v_name);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM webhook_attempts_default WHERE started_at < (v_today - p_kept_days)::timestamp AT TIME ZONE 'UTC';
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION keep_attempt_partitions IS 'Makes the partitions of today and the next days, and drops those that are older than is kept.';
REVOKE ALL ON FUNCTION keep_attempt_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_attempt_partitions TO onhook_application;

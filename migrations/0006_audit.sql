-- The audit looks for sessions that idle in a transaction, and the application's role sees its own
-- login's sessions only with this membership. Where whoever migrates may not grant it, the audit
-- says so and everything else works.
DO $$
BEGIN
    IF NOT pg_has_role('onhook_application', 'pg_read_all_stats', 'USAGE') THEN
        GRANT pg_read_all_stats TO onhook_application;
    END IF;
EXCEPTION
    -- Another database of this cluster may be migrated at the same moment.
    WHEN insufficient_privilege OR unique_violation THEN NULL;
END
$$;

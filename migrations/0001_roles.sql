-- Two roles from the start: the owner of the schema, who migrates, and the application, which may
-- read, write its queues and settings, and change a call only through functions.
--
-- The application connects with the owner's or its own login and runs as onhook_application.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'onhook_application') THEN
        CREATE ROLE onhook_application NOLOGIN;
    END IF;
EXCEPTION
    -- Another database of this cluster is being migrated at the same moment.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

-- Whoever creates a role may not be allowed to become it (PostgreSQL 16 and later): so the owner is
-- granted it in any case. A superuser needs no grant, and somebody who may not grant it was given it.
DO $$
BEGIN
    EXECUTE format('GRANT onhook_application TO %I', current_user);
EXCEPTION
    WHEN insufficient_privilege OR unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA public TO onhook_application;

-- The audit log is sealed into a chain of hashes, one for each organisation, so that an entry that is
-- changed, removed or slipped in later is found. In the background: an insert that carried the chain on
-- would make an organisation's ends wait for each other.

-- Transactions do not become visible in the order of their numbers: what is below the oldest running one
-- is complete, and is sealed; what is above waits.
ALTER TABLE audit_entries ADD COLUMN position bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint;
COMMENT ON COLUMN audit_entries.position IS 'The transaction that wrote the entry: it is sealed once no older one runs.';
-- Costs an insert next to nothing, and finds the newest pages.
CREATE INDEX audit_entries_position ON audit_entries USING brin (position) WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE audit_seals (
    organization_id uuid NOT NULL,
    number bigint NOT NULL CHECK (number >= 1),
    entry_id uuid NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, number),
    UNIQUE (organization_id, entry_id),
    FOREIGN KEY (organization_id, entry_id) REFERENCES audit_entries (organization_id, id)
);
COMMENT ON TABLE audit_seals IS 'The chain over the audit log, dense from 1 in each organisation. Written by seal_audit_entries only.';
COMMENT ON COLUMN audit_seals.hash IS 'SHA-256 over the hash before, the number, the time of sealing and the entry: crypto/audit_chain.rs.';

CREATE TABLE audit_sealing (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    sealed_below bigint NOT NULL
);
COMMENT ON TABLE audit_sealing IS 'Where the next round of sealing begins. Of the whole database: one row.';
COMMENT ON COLUMN audit_sealing.sealed_below IS 'Every entry of an older transaction is sealed.';

-- An empty column is left out, so that a column that is added later, and is empty, changes no hash.
CREATE FUNCTION audit_entry_text(p_entry audit_entries)
RETURNS text
LANGUAGE sql
STABLE
SET search_path = public, pg_temp
SET timezone = 'UTC'
AS $$
    SELECT jsonb_object_agg(m.key, m.value)::text FROM jsonb_each(to_jsonb(p_entry)) m WHERE m.value <> 'null'
$$;
COMMENT ON FUNCTION audit_entry_text IS 'An audit entry as it is sealed: all its columns but the empty ones, as JSON.';

CREATE FUNCTION seal_audit_entries(p_organization_id uuid, p_entry_ids uuid[], p_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    v_number bigint;
    v_hash bytea;
    v_at timestamptz;
    v_first bigint;
    v_entry record;
BEGIN
    -- One node at a time; nothing else waits for this.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_seals ' || p_organization_id::text, 0));
    SELECT s.number, s.hash, greatest(s.sealed_at, p_at)
    INTO v_number, v_hash, v_at
    FROM audit_seals s
    WHERE s.organization_id = p_organization_id
    ORDER BY s.number DESC
    LIMIT 1;
    v_number := coalesce(v_number, 0);
    v_hash := coalesce(v_hash, sha256(convert_to(p_organization_id::text, 'UTF8')));
    v_at := coalesce(v_at, p_at);
    v_first := v_number;
    FOR v_entry IN
        SELECT e.id, audit_entry_text(e) AS text
        FROM audit_entries e
        WHERE e.organization_id = p_organization_id
            AND e.id = ANY (p_entry_ids)
            AND NOT EXISTS (
                SELECT FROM audit_seals s
                WHERE s.organization_id = e.organization_id AND s.entry_id = e.id
            )
        ORDER BY e.position, e.at, e.id
    LOOP
        v_number := v_number + 1;
        v_hash := sha256(v_hash || convert_to(
            v_number || ' ' || (extract(epoch FROM v_at) * 1000000)::bigint || ' ' || v_entry.text, 'UTF8'
        ));
        INSERT INTO audit_seals (organization_id, number, entry_id, hash, sealed_at)
        VALUES (p_organization_id, v_number, v_entry.id, v_hash, v_at);
    END LOOP;
    RETURN v_number - v_first;
END
$$;
COMMENT ON FUNCTION seal_audit_entries IS 'Seals those of the given entries that are not sealed, in the order in which they were written; how many.';

REVOKE ALL ON FUNCTION audit_entry_text, seal_audit_entries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_entry_text, seal_audit_entries TO onhook_application;
GRANT SELECT ON audit_seals, audit_sealing TO onhook_application;
GRANT UPDATE (sealed_below) ON audit_sealing TO onhook_application;

-- What was written before is sealed as it is found.
SELECT seal_audit_entries(o.organization_id, ARRAY(SELECT id FROM audit_entries WHERE organization_id = o.organization_id), now())
FROM organizations o;
INSERT INTO audit_sealing (sealed_below) VALUES (pg_snapshot_xmin(pg_current_snapshot())::text::bigint);

//! The walls that the schema puts up, read from the catalogue, who leans on them, and who may take
//! them down.

use super::{Check, Statement};

pub(super) const STATEMENTS: [Statement; 4] = [
    Statement {
        check: Check {
            name: "a_tenants_keys_begin_with_the_organization",
            says: "every unique key and every reference of a table with an organization_id begins \
                with it, on both sides, and is in force; every such table references its parent",
        },
        sql: "/* db::invariants a_tenants_keys_begin_with_the_organization */
            WITH tenants AS (
                SELECT c.oid, c.relname, a.attnum
                FROM pg_class c
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'
                WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(current_schema()::text)
            ), breaches AS (
                SELECT t.relname || ': ' || i.indexrelid::regclass AS breach
                FROM tenants t
                JOIN pg_index i ON i.indrelid = t.oid
                WHERE i.indisunique AND (i.indkey[0] <> t.attnum OR NOT i.indisvalid)
                UNION ALL
                SELECT t.relname || ': ' || k.conname
                FROM tenants t
                JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f'
                LEFT JOIN tenants parent ON parent.oid = k.confrelid
                -- A person is no tenant's: a reference to one cannot begin with an organisation.
                WHERE NOT k.convalidated OR k.confrelid <> 'people'::regclass
                    AND (k.conkey[1] <> t.attnum OR k.confkey[1] IS DISTINCT FROM parent.attnum)
                UNION ALL
                SELECT t.relname || ' references no parent'
                FROM tenants t
                WHERE t.relname <> 'organizations' AND NOT EXISTS (
                    SELECT FROM pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'f'
                )
            )
            SELECT breach FROM breaches LIMIT 20",
    },
    Statement {
        check: Check {
            name: "history_is_only_added_to",
            says: "the application may not change or remove events, ledger and audit entries, hang-up \
                attempts and rate cards, and changes calls and seals by functions alone",
        },
        sql: "/* db::invariants history_is_only_added_to */
            SELECT t.name || ': ' || p.privilege
            FROM unnest(ARRAY['calls', 'call_facts', 'ledger_entries', 'audit_entries', 'rate_cards', 'hangup_attempts', 'audit_seals']) AS t(name)
            CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p(privilege)
            WHERE (p.privilege <> 'INSERT' OR t.name IN ('calls', 'call_facts', 'ledger_entries', 'audit_seals'))
                AND has_table_privilege('onhook_application', t.name, p.privilege)
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "an_organization_with_members_has_an_owner",
            says: "every organisation that has members has one who is its owner",
        },
        sql: "/* db::invariants an_organization_with_members_has_an_owner */
            SELECT organization_id::text FROM members GROUP BY organization_id
            HAVING count(*) FILTER (WHERE role = 'owner') = 0
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "no_session_idles_in_a_transaction",
            says: "no session of this database is idle in a transaction for longer than five seconds",
        },
        // The server's own statistics bear the server's own times.
        sql: "/* db::invariants no_session_idles_in_a_transaction */
            SELECT 'session ' || pid || ' of ' || application_name
            FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in transaction%'
                AND state_change < clock_timestamp() - interval '5 seconds'
            UNION ALL
            SELECT 'not visible: GRANT pg_read_all_stats TO ' || current_user
            WHERE NOT pg_has_role('pg_read_all_stats', 'USAGE')
            LIMIT 20",
    },
];

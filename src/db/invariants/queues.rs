//! What is on its way: deliveries, jobs, operations under way, the providers' reports.

use super::{Check, Statement};

pub(super) const STATEMENTS: [Statement; 8] = [
    Statement {
        check: Check {
            name: "an_event_is_queued_for_its_endpoints",
            says: "every event of the last 29 days has a delivery for every endpoint that wants it (ten \
                seconds around the endpoint's creation, deletion, enabling, disabling and change apart)",
        },
        sql: "/* db::invariants an_event_is_queued_for_its_endpoints */
            SELECT f.organization_id || '/' || f.call_id || '/' || f.sequence || ' for ' || e.id
            FROM webhook_endpoints e
            JOIN call_facts f ON f.organization_id = e.organization_id
                AND (e.events = '{}' OR f.type = ANY (e.events))
                AND f.recorded_at > coalesce(e.wants_since, e.created_at) + interval '10 seconds'
                AND f.recorded_at > $1::timestamptz - interval '29 days'
                AND f.recorded_at + interval '10 seconds'
                    < least(coalesce(e.disabled_at, 'infinity'), coalesce(e.deleted_at, 'infinity'))
            JOIN calls c ON c.organization_id = f.organization_id AND c.id = f.call_id
                AND c.agent_id = coalesce(e.agent_id, c.agent_id)
            WHERE NOT EXISTS (
                SELECT FROM webhook_deliveries d
                WHERE d.organization_id = e.organization_id AND d.endpoint_id = e.id
                    AND d.call_id = f.call_id AND d.sequence = f.sequence
            )
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_delivery_has_its_event",
            says: "every delivery is of an event that was recorded, of a call or of the organisation",
        },
        sql: "/* db::invariants a_delivery_has_its_event */
            SELECT d.organization_id || '/' || d.call_id || '/' || d.sequence || ' for ' || d.endpoint_id
            FROM webhook_deliveries d
            WHERE NOT EXISTS (
                SELECT FROM call_facts f
                WHERE f.organization_id = d.organization_id AND f.call_id = d.call_id
                    AND f.sequence = d.sequence
            ) AND NOT EXISTS (
                SELECT FROM organization_events o
                WHERE o.organization_id = d.organization_id AND o.id = d.call_id AND d.sequence = 0
            )
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_delivery_is_due_or_done",
            says: "a delivery is pending with a time at which it is due, or delivered or dead since a \
                moment, and then nobody works on it",
        },
        sql: "/* db::invariants a_delivery_is_due_or_done */
            SELECT organization_id || '/' || call_id || '/' || sequence || ' for ' || endpoint_id
            FROM webhook_deliveries
            WHERE (state = 'pending') <> (due_at IS NOT NULL)
                OR (state = 'pending') = (closed_at IS NOT NULL)
                OR (state <> 'pending' AND lease IS NOT NULL)
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "leases_run_out",
            says: "no job is leased for longer than the longest lease (15 s), no delivery for longer \
                than 150 s, a minute's difference of clocks apart",
        },
        sql: "/* db::invariants leases_run_out */
            SELECT organization_id || '/' || call_id || ' ' || kind || ' until ' || due_at
            FROM jobs
            WHERE lease IS NOT NULL AND due_at > $1::timestamptz + interval '75 seconds'
            UNION ALL
            SELECT organization_id || '/' || call_id || '/' || sequence || ' for ' || endpoint_id || ' until ' || due_at
            FROM webhook_deliveries
            WHERE lease IS NOT NULL AND due_at > $1::timestamptz + interval '210 seconds'
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "nothing_due_waits",
            says: "no job is due for longer than a minute, and no delivery to an enabled endpoint \
                that has failed nothing in the last ten (a gateway's wait until it is connected); if one is, no node is running or the nodes are too few",
        },
        sql: "/* db::invariants nothing_due_waits */
            SELECT organization_id || '/' || call_id || ' ' || kind || ' since ' || due_at
            FROM jobs
            WHERE due_at < $1::timestamptz - interval '1 minute'
            UNION ALL
            SELECT d.organization_id || '/' || d.call_id || '/' || d.sequence || ' for ' || d.endpoint_id || ' since ' || d.due_at
            FROM webhook_deliveries d
            JOIN webhook_endpoints e ON e.organization_id = d.organization_id AND e.id = d.endpoint_id
                AND e.paused_at IS NULL AND e.disabled_at IS NULL AND e.deleted_at IS NULL
                AND e.channel <> 'gateway'
            WHERE d.state = 'pending' AND d.due_at < $1::timestamptz - interval '1 minute'
                AND (d.organization_id, d.endpoint_id) NOT IN (
                    SELECT a.organization_id, a.endpoint_id FROM webhook_attempts a
                    WHERE a.started_at > $1::timestamptz - interval '10 minutes'
                        AND coalesce(a.response_status NOT BETWEEN 200 AND 299, true)
                )
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "an_idempotency_key_gets_its_answer",
            says: "an idempotency key has a whole answer, or its operation began less than a minute \
                ago (and another until the next sweep forgets it)",
        },
        sql: "/* db::invariants an_idempotency_key_gets_its_answer */
            SELECT organization_id || ' ' || route || ' ' || key
            FROM idempotency_keys
            WHERE num_nonnulls(status, answer_sealed, answer_key_id) NOT IN (0, 3)
                OR (status IS NULL AND created_at < $1::timestamptz - interval '2 minutes')
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_report_finds_its_call",
            says: "no provider's report waits for its call for longer than five minutes",
        },
        sql: "/* db::invariants a_report_finds_its_call */
            SELECT organization_id || '/' || provider_account_id || ' ' || receipt_key
            FROM callback_receipts
            WHERE (state = 'applied' AND call_id IS NULL)
                OR (state = 'parked' AND received_at < $1::timestamptz - interval '5 minutes'
                    AND EXISTS (
                        SELECT FROM calls c
                        WHERE c.organization_id = callback_receipts.organization_id
                            AND c.provider_account_id = callback_receipts.provider_account_id
                            AND c.provider_call_id = callback_receipts.provider_call_id
                    ))
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "queues_are_vacuumed",
            says: "less than a fifth of a queue's table is dead rows, unless there are few of them or \
                it was vacuumed in the last five minutes",
        },
        // The server's own statistics bear the server's own times.
        sql: "/* db::invariants queues_are_vacuumed */
            SELECT relname || ': ' || n_dead_tup || ' dead, ' || n_live_tup || ' live'
            FROM pg_stat_user_tables
            WHERE relname IN ('jobs', 'webhook_deliveries') AND n_dead_tup > 10000
                AND n_dead_tup * 5 > n_live_tup + n_dead_tup
                AND greatest(last_vacuum, last_autovacuum, '-infinity')
                    < clock_timestamp() - interval '5 minutes'
            LIMIT 20",
    },
];

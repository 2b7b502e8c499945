//! Calls against themselves and against what was published of them.

use super::{Check, Statement};

pub(super) const STATEMENTS: [Statement; 10] = [
    Statement {
        check: Check {
            name: "a_call_that_is_over_is_whole",
            says: "a call has a terminal status exactly when it has an end, a reason and a side; its \
                times are in order; it is billed within its connected time and not at all when it \
                was never answered",
        },
        sql: "/* db::invariants a_call_that_is_over_is_whole */
            SELECT organization_id || '/' || id FROM calls
            WHERE (status IN ('completed', 'failed', 'busy', 'no-answer', 'canceled'))
                    <> (ended_at IS NOT NULL)
                OR num_nonnulls(ended_at, ended_reason, ended_side) NOT IN (0, 3)
                OR created_at > answered_at OR answered_at > ended_at OR created_at > ended_at
                OR billable_millis < 0
                OR billable_millis > coalesce(extract(epoch FROM ended_at - answered_at) * 1000, 0)
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_call_ends_once",
            says: "a call that is over has exactly one ended event, a live one none",
        },
        sql: "/* db::invariants a_call_ends_once */
            SELECT c.organization_id || '/' || c.id
            FROM calls c
            LEFT JOIN call_facts f ON f.organization_id = c.organization_id AND f.call_id = c.id
                AND f.type = 'event_phone_call_ended'
            GROUP BY c.organization_id, c.id
            HAVING count(f.sequence) <> CASE WHEN c.ended_at IS NULL THEN 0 ELSE 1 END
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "the_ended_event_tells_the_call",
            says: "status, reason, end and amount of the ended event are the call's",
        },
        sql: r#"/* db::invariants the_ended_event_tells_the_call */
            SELECT c.organization_id || '/' || c.id
            FROM calls c
            JOIN call_facts f ON f.organization_id = c.organization_id AND f.call_id = c.id
                AND f.type = 'event_phone_call_ended'
            WHERE f.to_status <> c.status
                OR f.data #>> '{call,status}' IS DISTINCT FROM c.status
                OR f.data #>> '{call,ended_reason}' IS DISTINCT FROM c.ended_reason
                OR f.data #>> '{call,cost,amount_micros}' IS DISTINCT FROM c.amount_micros::text
                OR f.data #>> '{call,ended_at}' IS DISTINCT FROM
                    to_char(c.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
            LIMIT 20"#,
    },
    Statement {
        check: Check {
            name: "events_are_numbered_densely",
            says: "a call's events are numbered from 1 without a gap up to its last_sequence",
        },
        sql: "/* db::invariants events_are_numbered_densely */
            SELECT c.organization_id || '/' || c.id
            FROM calls c
            LEFT JOIN (
                SELECT organization_id, call_id, count(*) AS facts, min(sequence) AS first,
                    max(sequence) AS last
                FROM call_facts GROUP BY organization_id, call_id
            ) f ON f.organization_id = c.organization_id AND f.call_id = c.id
            WHERE f.facts IS DISTINCT FROM c.last_sequence OR f.first <> 1
                OR f.last <> c.last_sequence
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "events_are_a_chain_of_legal_moves",
            says: "each event begins with the status that the one before left, the last one left the \
                call's, and every move is a legal one",
        },
        sql: "/* db::invariants events_are_a_chain_of_legal_moves */
            SELECT DISTINCT organization_id || '/' || call_id
            FROM (
                SELECT f.organization_id, f.call_id, f.from_status, f.to_status,
                    lag(f.to_status) OVER by_call AS before,
                    lead(f.from_status, 1, c.status) OVER by_call AS after
                FROM call_facts f
                JOIN calls c ON c.organization_id = f.organization_id AND c.id = f.call_id
                WINDOW by_call AS (PARTITION BY f.organization_id, f.call_id ORDER BY f.sequence)
            ) moves
            WHERE from_status <> before OR to_status <> after
                OR NOT (
                    from_status = to_status
                    OR (from_status, to_status) IN (
                        ('initiating', 'ringing'), ('initiating', 'in-progress'),
                        ('ringing', 'in-progress')
                    )
                    OR (
                        from_status IN ('initiating', 'ringing', 'in-progress')
                        AND to_status IN ('completed', 'failed', 'busy', 'no-answer', 'canceled')
                    )
                )
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_wish_keeps_its_promise",
            says: "moment and reason of a wish to end are those that its first event told, and those \
                of the end",
        },
        sql: r#"/* db::invariants a_wish_keeps_its_promise */
            SELECT DISTINCT c.organization_id || '/' || c.id
            FROM calls c
            LEFT JOIN call_facts f ON f.organization_id = c.organization_id AND f.call_id = c.id
                AND f.type = 'event_phone_call_end_requested'
            WHERE c.wish_state IS NOT NULL AND (
                f.data #>> '{call,end,reason}' IS DISTINCT FROM c.wish_reason
                OR f.data #>> '{call,end,requested_at}' IS DISTINCT FROM
                    to_char(c.wish_requested_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
                OR c.ended_at <> c.wish_requested_at OR c.ended_reason <> c.wish_reason
            )
            LIMIT 20"#,
    },
    Statement {
        check: Check {
            name: "a_wish_is_carried_out",
            says: "a live call that is to end has a job that sees to it, or it is failed; a failed \
                and an unconfirmed wish have raised their alert",
        },
        sql: "/* db::invariants a_wish_is_carried_out */
            SELECT c.organization_id || '/' || c.id || ' ' || c.wish_state
            FROM calls c
            WHERE c.ended_at IS NULL AND c.wish_state IS NOT NULL AND (
                (c.wish_state <> 'failed' AND NOT EXISTS (
                    SELECT FROM jobs j
                    WHERE j.organization_id = c.organization_id AND j.call_id = c.id
                        AND j.kind = CASE c.dial_state WHEN 'placed' THEN 'hang_up_call' ELSE 'dial_call' END
                ))
                OR (c.wish_state IN ('failed', 'unconfirmed') AND NOT EXISTS (
                    SELECT FROM call_facts f
                    WHERE f.organization_id = c.organization_id AND f.call_id = c.id
                        AND f.type = 'event_phone_call_error'
                        AND f.data #>> '{error,code}' = 'HANGUP_FAILED'
                ))
            )
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_dial_is_seen_to",
            says: "a live call that no provider has yet has a job that dials or looks for it",
        },
        sql: "/* db::invariants a_dial_is_seen_to */
            SELECT c.organization_id || '/' || c.id || ' ' || c.dial_state
            FROM calls c
            WHERE c.ended_at IS NULL AND c.dial_state <> 'placed' AND NOT EXISTS (
                SELECT FROM jobs j
                WHERE j.organization_id = c.organization_id AND j.call_id = c.id
                    AND j.kind = 'dial_call'
            )
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_call_that_is_over_has_no_job",
            says: "nothing is left to do for a call that is over (a job that a sweep had started in \
                that moment has a minute to find out)",
        },
        sql: "/* db::invariants a_call_that_is_over_has_no_job */
            SELECT c.organization_id || '/' || c.id || ' ' || j.kind
            FROM jobs j
            JOIN calls c ON c.organization_id = j.organization_id AND c.id = j.call_id
            WHERE c.ended_at IS NOT NULL AND j.created_at < $1::timestamptz - interval '1 minute'
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_wish_is_in_the_audit_log",
            says: "who wished for an end is in the audit log",
        },
        sql: "/* db::invariants a_wish_is_in_the_audit_log */
            SELECT c.organization_id || '/' || c.id
            FROM calls c
            WHERE c.wish_state IS NOT NULL AND NOT EXISTS (
                SELECT FROM audit_entries a
                WHERE a.organization_id = c.organization_id AND a.subject = c.id::text
                    AND a.action = 'call.end'
            )
            LIMIT 20",
    },
];

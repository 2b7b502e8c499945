//! What calls cost.

use super::{Check, Statement};

pub(super) const STATEMENTS: [Statement; 4] = [
    Statement {
        check: Check {
            name: "a_call_is_billed_once",
            says: "a call that is over has exactly one usage entry (of amount 0 when it was never \
                answered); a live one, a test and one without a rate have none",
        },
        sql: "/* db::invariants a_call_is_billed_once */
            SELECT c.organization_id || '/' || c.id
            FROM calls c
            LEFT JOIN ledger_entries l ON l.organization_id = c.organization_id
                AND l.call_id = c.id AND l.kind = 'usage' AND l.meter = 'call_time'
            GROUP BY c.organization_id, c.id
            HAVING count(l.id) <> CASE
                WHEN c.ended_at IS NOT NULL AND c.rate_card_id IS NOT NULL AND NOT c.test THEN 1
                ELSE 0
            END
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "the_price_is_the_pinned_rates",
            says: "a call's rate is its rate card's; its price is the formula of domain/billing/rate.rs \
                over the billable time; call and ledger tell the same",
        },
        sql: "/* db::invariants the_price_is_the_pinned_rates */
            SELECT c.organization_id || '/' || c.id
            FROM calls c
            JOIN rate_cards r ON r.organization_id = c.organization_id AND r.id = c.rate_card_id
            LEFT JOIN ledger_entries l ON l.organization_id = c.organization_id
                AND l.call_id = c.id AND l.kind = 'usage' AND l.meter = 'call_time'
            CROSS JOIN LATERAL (
                SELECT CASE WHEN c.billable_millis = 0 THEN 0 ELSE
                    ceil(
                        greatest(ceil(c.billable_millis / 1000.0), c.rate_minimum_seconds)
                        / c.rate_increment_seconds
                    ) * c.rate_increment_seconds
                END AS seconds
            ) billed
            CROSS JOIN LATERAL (
                SELECT least(
                    div(billed.seconds * c.rate_price_micros * 2 + c.rate_price_seconds, c.rate_price_seconds * 2::numeric),
                    9223372036854775807
                ) AS micros
            ) price
            WHERE (c.rate_currency, c.rate_price_micros, c.rate_price_seconds,
                    c.rate_increment_seconds, c.rate_minimum_seconds)
                    IS DISTINCT FROM (r.currency, r.price_micros, r.price_seconds,
                        r.increment_seconds, r.minimum_seconds)
                OR (c.ended_at IS NOT NULL AND c.amount_micros IS NULL)
                OR (c.ended_at IS NOT NULL AND (c.billed_seconds, c.amount_micros)
                    IS DISTINCT FROM (billed.seconds, price.micros))
                OR (l.rate_card_id, l.currency, l.billable_millis, l.billed_seconds, l.amount_micros)
                    <> (c.rate_card_id, c.rate_currency, c.billable_millis, c.billed_seconds, c.amount_micros)
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "nobody_pays_past_the_wish",
            says: "no time after the acceptance of a wish to end is billed",
        },
        sql: "/* db::invariants nobody_pays_past_the_wish */
            SELECT c.organization_id || '/' || c.id
            FROM calls c
            LEFT JOIN ledger_entries l ON l.organization_id = c.organization_id
                AND l.call_id = c.id AND l.kind = 'usage' AND l.meter = 'call_time'
            WHERE c.wish_state IS NOT NULL AND greatest(c.billable_millis, l.billable_millis) > coalesce(
                greatest(extract(epoch FROM c.wish_requested_at - c.answered_at) * 1000, 0), 0
            )
            LIMIT 20",
    },
    Statement {
        check: Check {
            name: "a_correction_corrects_something",
            says: "a correction follows a usage entry of its call, in the same currency",
        },
        sql: "/* db::invariants a_correction_corrects_something */
            SELECT l.organization_id || '/' || l.id
            FROM ledger_entries l
            WHERE l.kind = 'correction' AND NOT EXISTS (
                SELECT FROM ledger_entries u
                WHERE u.organization_id = l.organization_id AND u.call_id = l.call_id
                    AND u.kind = 'usage' AND u.meter = l.meter AND u.currency = l.currency
                    AND u.recorded_at <= l.recorded_at
            )
            LIMIT 20",
    },
];

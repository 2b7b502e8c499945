//! All that was recorded of one call's life, for [`crate::domain::call::why()`]: one read, so that it
//! is of one moment.

use std::str::FromStr as _;

use crate::{
    db::Db,
    domain::{
        CallId, OrgScope, OrganizationId, Result, Timestamp,
        call::{Call, CallStatus, Evidence, FactType, RecordedAct, RecordedAttempt, RecordedFact},
    },
};

/// One record, in the columns that the three kinds share.
struct Row {
    kind: String,
    at: Timestamp,
    until: Timestamp,
    number: Option<i64>,
    status: Option<i32>,
    first: Option<String>,
    second: Option<String>,
    third: Option<String>,
    fourth: Option<String>,
}

/// What was recorded of `call` up to the version that is given: its facts, the requests to hang up,
/// the audit entries about it; at most 1,000 of each.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn evidence(db: &Db, scope: OrgScope, call: &Call) -> Result<Evidence> {
    let rows = db
        .run(
            "read what was recorded of a call",
            sqlx::query_as!(
                Row,
                r#"/* db::calls::evidence */
                (SELECT 'fact' AS "kind!", at AS "at!: Timestamp",
                    recorded_at AS "until!: Timestamp", sequence AS number, NULL::integer AS status,
                    type AS first, from_status AS second, to_status AS third,
                    data -> 'error' ->> 'message' AS fourth
                FROM call_facts
                WHERE organization_id = $1 AND call_id = $2 AND sequence <= $3
                ORDER BY sequence LIMIT 1000)
                UNION ALL
                (SELECT 'attempt', started_at, finished_at, NULL, provider_status, outcome,
                    provider_code, provider_message, NULL
                FROM hangup_attempts WHERE organization_id = $1 AND call_id = $2
                ORDER BY started_at LIMIT 1000)
                UNION ALL
                (SELECT 'act', at, at, NULL, NULL, actor, action, request_id, NULL
                FROM audit_entries WHERE organization_id = $1 AND subject = $4
                ORDER BY at LIMIT 1000)"#,
                scope.id() as OrganizationId,
                call.id as CallId,
                call.last_sequence,
                call.id.to_string()
            )
            .fetch_all(&db.pool),
        )
        .await?;
    let mut evidence = Evidence::default();
    for row in rows {
        row.add_to(&mut evidence);
    }
    Ok(evidence)
}

impl Row {
    /// A record that this version cannot read is left out.
    fn add_to(self, evidence: &mut Evidence) {
        match self.kind.as_str() {
            "fact" => evidence.facts.extend(self.fact()),
            "attempt" => evidence.attempts.push(RecordedAttempt {
                started_at: self.at,
                finished_at: self.until,
                outcome: self.first.unwrap_or_default(),
                provider_status: self.status,
                provider_code: self.second,
                provider_message: self.third,
            }),
            _ => evidence.acts.push(RecordedAct {
                at: self.at,
                actor: self.first.unwrap_or_default(),
                action: self.second.unwrap_or_default(),
                request_id: self.third,
            }),
        }
    }

    fn fact(self) -> Option<RecordedFact> {
        let status = |text: Option<String>| CallStatus::from_str(&text?).ok();
        Some(RecordedFact {
            sequence: self.number?,
            kind: FactType::from_str(&self.first?).ok()?,
            from_status: status(self.second)?,
            to_status: status(self.third)?,
            at: self.at,
            recorded_at: self.until,
            error: self.fourth,
        })
    }
}

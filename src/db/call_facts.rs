//! Facts of calls, as published. Written by `db::calls` only.

use serde_json::{Value, value::RawValue};
use sqlx::types::Json;

use super::Db;
use crate::domain::{
    AgentId, CallId, Error, OrgScope, OrganizationId, Result, Timestamp, call::FactType,
    position::Position,
};

/// A fact as it is read back.
#[derive(Debug)]
pub struct FactRow {
    pub sequence: i64,
    pub kind: FactType,
    pub at: Timestamp,
    pub data: Value,
}

/// The facts of a call with a number above `after`, in order, at most 1,000.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(db: &Db, scope: OrgScope, call_id: CallId, after: i64) -> Result<Vec<FactRow>> {
    db.run(
        "list a call's facts",
        sqlx::query_as!(
            FactRow,
            "/* db::call_facts::list */ SELECT sequence, type AS kind, at, data FROM call_facts
            WHERE organization_id = $1 AND call_id = $2 AND sequence > $3
            ORDER BY sequence LIMIT 1000",
            scope.id() as OrganizationId,
            call_id as CallId,
            after
        )
        .fetch_all(&db.pool),
    )
    .await
}

/// A fact at its place among all of its organisation's.
#[derive(Debug)]
pub struct PlacedFact {
    pub organization_id: OrganizationId,
    pub position: Position,
    pub agent_id: AgentId,
    /// Whether it is of a test call.
    pub test: bool,
    pub kind: FactType,
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    pub data: Box<RawValue>,
}

struct PlacedRow {
    organization_id: OrganizationId,
    transaction: String,
    call_id: CallId,
    sequence: i64,
    /// The agent is the call's, which is in the data.
    agent_id: Option<AgentId>,
    test: bool,
    kind: FactType,
    at: Timestamp,
    recorded_at: Timestamp,
    data: Json<Box<RawValue>>,
}

/// The transactions of this moment.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// What older transactions wrote can be read and is all that they will ever write.
    pub oldest_running: u64,
    /// No transaction has this id yet, or a higher one.
    pub next: u64,
}

/// Which transactions run.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn horizon(db: &Db) -> Result<Horizon> {
    let row = db
        .run(
            "ask which transactions run",
            sqlx::query!(
                r#"/* db::call_facts::horizon */
                SELECT pg_snapshot_xmin(s)::text AS "oldest_running!",
                    pg_snapshot_xmax(s)::text AS "next!"
                FROM pg_current_snapshot() s"#
            )
            .fetch_one(&db.pool),
        )
        .await?;
    Ok(Horizon {
        oldest_running: transaction(&row.oldest_running)?,
        next: transaction(&row.next)?,
    })
}

fn transaction(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|error| Error::internal("read a transaction's id", error))
}

/// The organisation's facts after one place and up to another, in order, at most `limit`. What may
/// still be written below `until` is the caller's to know.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn between(
    db: &Db,
    scope: OrgScope,
    after: Position,
    until: Position,
    limit: i64,
) -> Result<Vec<PlacedFact>> {
    let rows = db
        .run(
            "read facts by their places",
            sqlx::query_as!(
                PlacedRow,
                r#"/* db::call_facts::between */ SELECT organization_id,
                    position::text AS "transaction!", call_id, sequence,
                    (data #>> '{call,agent_id}')::uuid AS "agent_id: AgentId",
                    (SELECT c.test FROM calls c WHERE c.organization_id = call_facts.organization_id
                        AND c.id = call_facts.call_id) AS "test!", type AS kind, at,
                    recorded_at, data AS "data: Json<Box<RawValue>>"
                FROM call_facts
                WHERE organization_id = $1
                    AND (position, call_id, sequence) > ($2::text::xid8, $3, $4)
                    AND (position, call_id, sequence) <= ($5::text::xid8, $6, $7)
                ORDER BY position, call_id, sequence LIMIT $8"#,
                scope.id() as OrganizationId,
                after.transaction.to_string(),
                after.call_id as CallId,
                after.sequence,
                until.transaction.to_string(),
                until.call_id as CallId,
                until.sequence,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    rows.into_iter().map(PlacedRow::read).collect()
}

/// For each organisation the facts after its place that no running transaction can come before, in
/// order, at most `limit` of each. One statement, which asks each organisation's part of the index.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn news(
    db: &Db,
    places: &[(OrganizationId, Position)],
    limit: i64,
) -> Result<Vec<PlacedFact>> {
    let organizations: Vec<uuid::Uuid> = places.iter().map(|(id, _)| id.0).collect();
    let transactions: Vec<String> = places
        .iter()
        .map(|(_, place)| place.transaction.to_string())
        .collect();
    let calls: Vec<uuid::Uuid> = places.iter().map(|(_, place)| place.call_id.0).collect();
    let sequences: Vec<i64> = places.iter().map(|(_, place)| place.sequence).collect();
    let rows = db
        .run(
            "read what is new",
            sqlx::query_as!(
                PlacedRow,
                r#"/* db::call_facts::news */ SELECT f.organization_id,
                    f.position::text AS "transaction!", f.call_id, f.sequence,
                    (f.data #>> '{call,agent_id}')::uuid AS "agent_id: AgentId",
                    (SELECT c.test FROM calls c WHERE c.organization_id = f.organization_id
                        AND c.id = f.call_id) AS "test!", f.type AS kind,
                    f.at, f.recorded_at, f.data AS "data: Json<Box<RawValue>>"
                FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::bigint[])
                    AS r (organization_id, transaction, call_id, sequence)
                CROSS JOIN LATERAL (
                    SELECT * FROM call_facts f
                    WHERE f.organization_id = r.organization_id
                        AND (f.position, f.call_id, f.sequence)
                            > (r.transaction::xid8, r.call_id, r.sequence)
                        AND f.position < pg_snapshot_xmin(pg_current_snapshot())
                    ORDER BY f.position, f.call_id, f.sequence LIMIT $5
                ) f
                ORDER BY f.organization_id, f.position, f.call_id, f.sequence"#,
                &organizations,
                &transactions,
                &calls,
                &sequences,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    rows.into_iter().map(PlacedRow::read).collect()
}

impl PlacedRow {
    fn read(self) -> Result<PlacedFact> {
        // One fact that is not as we write them must not keep the others from their readers: it is
        // nobody's, and only those see it who see every agent's.
        let agent_id = self.agent_id.unwrap_or(AgentId(uuid::Uuid::nil()));
        Ok(PlacedFact {
            organization_id: self.organization_id,
            position: Position {
                transaction: transaction(&self.transaction)?,
                call_id: self.call_id,
                sequence: self.sequence,
            },
            agent_id,
            test: self.test,
            kind: self.kind,
            at: self.at,
            recorded_at: self.recorded_at,
            data: self.data.0,
        })
    }
}

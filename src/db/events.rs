//! The events of an organisation in their order, for whoever pulls or streams them.

use serde_json::Value;

use super::Db;
use crate::domain::{
    AgentId, CallId, Error, OrgScope, OrganizationId, Result, Timestamp, position::Position,
    webhook::event::EventType,
};

/// An event as it was published, and where it stands.
#[derive(Debug)]
pub struct EventRow {
    pub position: Position,
    pub kind: EventType,
    pub at: Timestamp,
    pub recorded_at: Timestamp,
    /// `None`: the event is about no call.
    pub agent_id: Option<AgentId>,
    pub data: Value,
}

/// Which events, beside the organisation's scope.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of calls of these agents; `None`: all, and those about no call.
    pub agents: Option<Vec<AgentId>>,
    /// Only of test calls.
    pub test_only: bool,
    /// Only these types; empty: all.
    pub types: Vec<String>,
}

/// At most `limit` events that were recorded since `since`, those after the position `after`, in
/// their order. Everything that is shown stands before everything that is not committed yet: no
/// later event can appear before it (a fact's `position`, and the oldest transaction that is still running).
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn after(
    db: &Db,
    scope: OrgScope,
    after: Position,
    filter: &Filter,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<EventRow>> {
    let agents: Option<Vec<uuid::Uuid>> = filter
        .agents
        .as_ref()
        .map(|agents| agents.iter().map(|agent| agent.0).collect());
    let rows = db
        .run(
            "read events in their order",
            sqlx::query_as!(
                Row,
                r#"/* db::events::after */
                SELECT position::text AS "transaction!", call_id AS "call_id!: CallId",
                    sequence AS "sequence!", type AS "kind!", at AS "at!: Timestamp",
                    recorded_at AS "recorded_at!: Timestamp", agent_id AS "agent_id: AgentId",
                    data AS "data!"
                FROM (
                    (SELECT f.position, f.call_id, f.sequence, f.type, f.at, f.recorded_at, c.agent_id,
                        f.data
                    FROM call_facts f
                    JOIN calls c ON c.organization_id = f.organization_id AND c.id = f.call_id
                    WHERE f.organization_id = $1
                        AND f.position >= $2::text::xid8
                        AND (f.position, f.call_id, f.sequence) > ($2::text::xid8, $3, $4)
                        AND f.position < pg_snapshot_xmin(pg_current_snapshot())
                        AND f.recorded_at >= $5
                        AND ($6::uuid[] IS NULL OR c.agent_id = ANY ($6))
                        AND (NOT $9 OR c.test)
                        AND ($7::text[] = '{}' OR f.type = ANY ($7))
                    ORDER BY f.position, f.call_id, f.sequence LIMIT $8)
                    UNION ALL
                    (SELECT o.position, o.id, 0, o.type, o.at, o.at, NULL, o.data
                    FROM organization_events o
                    WHERE o.organization_id = $1
                        AND o.position >= $2::text::xid8
                        AND (o.position, o.id, 0::bigint) > ($2::text::xid8, $3, $4)
                        AND o.position < pg_snapshot_xmin(pg_current_snapshot())
                        AND o.at >= $5
                        AND $6::uuid[] IS NULL AND NOT $9
                        AND ($7::text[] = '{}' OR o.type = ANY ($7))
                    ORDER BY o.position, o.id LIMIT $8)
                ) events
                ORDER BY position, call_id, sequence LIMIT $8"#,
                scope.id() as OrganizationId,
                after.transaction.to_string(),
                after.call_id as CallId,
                after.sequence,
                since as Timestamp,
                agents.as_deref(),
                &filter.types,
                limit,
                filter.test_only
            )
            .fetch_all(&db.pool),
        )
        .await?;
    rows.into_iter().map(Row::event).collect()
}

/// A row as the statement returns it.
struct Row {
    transaction: String,
    call_id: CallId,
    sequence: i64,
    kind: String,
    at: Timestamp,
    recorded_at: Timestamp,
    agent_id: Option<AgentId>,
    data: Value,
}

impl Row {
    fn event(self) -> Result<EventRow> {
        let unknown = |error| Error::internal("read an event's type", error);
        let transaction = self.transaction.parse::<u64>();
        Ok(EventRow {
            position: Position {
                transaction: transaction
                    .map_err(|error| Error::internal("read an event's position", error))?,
                call_id: self.call_id,
                sequence: self.sequence,
            },
            kind: self.kind.parse().map_err(unknown)?,
            at: self.at,
            recorded_at: self.recorded_at,
            agent_id: self.agent_id,
            data: self.data,
        })
    }
}

//! What was sent to a receiver. Sending it again: [`again`].

mod again;

pub use again::{Range, Replayed, make_due, replay, replay_failed, resend};

use serde_json::Value;

use super::Db;
use crate::domain::{
    AgentId, CallId, Error, OrgScope, OrganizationId, Result, Timestamp, WebhookEndpointId,
    webhook::event::EventType,
};

/// What became of a delivery.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    strum::IntoStaticStr,
    strum::EnumString,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its next attempt.
    Pending,
    /// A receiver answered 2xx.
    Delivered,
    /// Given up.
    Dead,
}

/// A delivery, its event and how it stands.
#[derive(Debug)]
pub struct DeliveryRow {
    pub key: DeliveryKey,
    pub kind: EventType,
    pub at: Timestamp,
    /// `None`: the event is about no call.
    pub agent_id: Option<AgentId>,
    pub state: DeliveryState,
    pub attempts: i32,
    pub created_at: Timestamp,
    /// When the next attempt is due, or the one under way is given up.
    pub due_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub requeued_at: Option<Timestamp>,
}

/// Which delivery of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryKey {
    /// The call; where `sequence` is 0, the organisation's event.
    pub call_id: CallId,
    pub sequence: i64,
}

/// Which deliveries. Everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub state: Option<DeliveryState>,
    pub kind: Option<EventType>,
    pub call_id: Option<CallId>,
    pub created_after: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
}

/// The place after which a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    pub created_at: Timestamp,
    pub key: DeliveryKey,
}

/// A row as statements return it.
struct Stored {
    call_id: CallId,
    sequence: i64,
    kind: String,
    at: Timestamp,
    agent_id: Option<AgentId>,
    state: DeliveryState,
    attempt: i32,
    created_at: Timestamp,
    due_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    requeued_at: Option<Timestamp>,
}

impl Stored {
    fn row(self) -> Result<DeliveryRow> {
        let unknown = |error| Error::internal("read an event's type", error);
        Ok(DeliveryRow {
            key: DeliveryKey {
                call_id: self.call_id,
                sequence: self.sequence,
            },
            kind: self.kind.parse().map_err(unknown)?,
            at: self.at,
            agent_id: self.agent_id,
            state: self.state,
            attempts: self.attempt,
            created_at: self.created_at,
            due_at: self.due_at,
            closed_at: self.closed_at,
            requeued_at: self.requeued_at,
        })
    }
}

/// At most `limit` deliveries of an endpoint, the newest first.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    filter: &Filter,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let rows = db
        .run(
            "list deliveries",
            sqlx::query_as!(
                Stored,
                r#"/* db::delivery_log::list */
                SELECT d.call_id AS "call_id!: CallId", d.sequence AS "sequence!",
                    coalesce(f.type, o.type) AS "kind!", coalesce(f.at, o.at) AS "at!: Timestamp",
                    c.agent_id AS "agent_id?: AgentId", d.state AS "state!: DeliveryState",
                    d.attempt AS "attempt!", d.created_at AS "created_at!: Timestamp",
                    d.due_at AS "due_at: Timestamp", d.closed_at AS "closed_at: Timestamp",
                    d.requeued_at AS "requeued_at: Timestamp"
                FROM (
                    (SELECT * FROM webhook_deliveries d
                    WHERE d.organization_id = $1 AND d.endpoint_id = $2 AND d.state <> 'pending'
                        AND (d.created_at, d.call_id, d.sequence) < (coalesce($3, 'infinity'::timestamptz), $4, $5)
                        AND ($6::text IS NULL OR d.state = $6)
                        AND ($7::text IS NULL OR EXISTS (
                            SELECT FROM call_facts f
                            WHERE f.organization_id = $1 AND f.call_id = d.call_id
                                AND f.sequence = d.sequence AND f.type = $7
                        ) OR EXISTS (
                            SELECT FROM organization_events o
                            WHERE o.organization_id = $1 AND o.id = d.call_id
                                AND d.sequence = 0 AND o.type = $7
                        ))
                        AND ($8::uuid IS NULL OR d.call_id = $8)
                        AND ($9::timestamptz IS NULL OR d.created_at >= $9)
                        AND ($10::timestamptz IS NULL OR d.created_at < $10)
                    ORDER BY d.created_at DESC, d.call_id DESC, d.sequence DESC LIMIT $11)
                    UNION ALL
                    (SELECT * FROM webhook_deliveries d
                    WHERE d.organization_id = $1 AND d.endpoint_id = $2 AND d.state = 'pending'
                        AND (d.created_at, d.call_id, d.sequence) < (coalesce($3, 'infinity'::timestamptz), $4, $5)
                        AND ($6::text IS NULL OR d.state = $6)
                        AND ($7::text IS NULL OR EXISTS (
                            SELECT FROM call_facts f
                            WHERE f.organization_id = $1 AND f.call_id = d.call_id
                                AND f.sequence = d.sequence AND f.type = $7
                        ) OR EXISTS (
                            SELECT FROM organization_events o
                            WHERE o.organization_id = $1 AND o.id = d.call_id
                                AND d.sequence = 0 AND o.type = $7
                        ))
                        AND ($8::uuid IS NULL OR d.call_id = $8)
                        AND ($9::timestamptz IS NULL OR d.created_at >= $9)
                        AND ($10::timestamptz IS NULL OR d.created_at < $10)
                    ORDER BY d.created_at DESC, d.call_id DESC, d.sequence DESC LIMIT $11)
                ) d
                LEFT JOIN call_facts f ON f.organization_id = $1 AND f.call_id = d.call_id AND f.sequence = d.sequence
                LEFT JOIN calls c ON c.organization_id = $1 AND c.id = d.call_id
                LEFT JOIN organization_events o ON o.organization_id = $1 AND o.id = d.call_id AND d.sequence = 0
                ORDER BY d.created_at DESC, d.call_id DESC, d.sequence DESC LIMIT $11"#,
                scope.id() as OrganizationId,
                endpoint_id as WebhookEndpointId,
                after.map(|after| after.created_at) as Option<Timestamp>,
                after.map_or(uuid::Uuid::nil(), |after| after.key.call_id.0),
                after.map_or(0, |after| after.key.sequence),
                filter.state as Option<DeliveryState>,
                filter.kind.map(EventType::as_str),
                filter.call_id as Option<CallId>,
                filter.created_after as Option<Timestamp>,
                filter.created_before as Option<Timestamp>,
                limit
            )
            .fetch_all(&db.pool),
        )
        .await?;
    rows.into_iter().map(Stored::row).collect()
}

/// One delivery and the data of its event.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    key: DeliveryKey,
) -> Result<Option<(DeliveryRow, Value)>> {
    let row = db
        .run(
            "find a delivery",
            sqlx::query!(
                r#"/* db::delivery_log::find */
                SELECT coalesce(f.type, o.type) AS "kind!", coalesce(f.at, o.at) AS "at!: Timestamp",
                    coalesce(f.data, o.data) AS "data!", c.agent_id AS "agent_id?: AgentId",
                    d.state AS "state: DeliveryState", d.attempt, d.created_at, d.due_at, d.closed_at,
                    d.requeued_at
                FROM webhook_deliveries d
                LEFT JOIN call_facts f ON f.organization_id = $1 AND f.call_id = d.call_id AND f.sequence = d.sequence
                LEFT JOIN calls c ON c.organization_id = $1 AND c.id = d.call_id
                LEFT JOIN organization_events o ON o.organization_id = $1 AND o.id = d.call_id AND d.sequence = 0
                WHERE d.organization_id = $1 AND d.endpoint_id = $2 AND d.call_id = $3 AND d.sequence = $4"#,
                scope.id() as OrganizationId,
                endpoint_id as WebhookEndpointId,
                key.call_id as CallId,
                key.sequence
            )
            .fetch_optional(&db.pool),
        )
        .await?;
    row.map(|row| {
        let stored = Stored {
            call_id: key.call_id,
            sequence: key.sequence,
            kind: row.kind,
            at: row.at,
            agent_id: row.agent_id,
            state: row.state,
            attempt: row.attempt,
            created_at: row.created_at,
            due_at: row.due_at,
            closed_at: row.closed_at,
            requeued_at: row.requeued_at,
        };
        Ok((stored.row()?, row.data))
    })
    .transpose()
}

/// An attempt as it was logged.
#[derive(Debug)]
pub struct AttemptRow {
    pub attempt: i32,
    pub started_at: Timestamp,
    pub duration_millis: i32,
    pub request_url: Option<String>,
    pub request_headers: Option<Value>,
    pub response_status: Option<i32>,
    pub response_headers: Option<Value>,
    pub response_body: Option<String>,
    pub failure: Option<String>,
}

/// The attempts of a delivery, in order, the newest 100 of them.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn attempts(
    db: &Db,
    scope: OrgScope,
    endpoint_id: WebhookEndpointId,
    key: DeliveryKey,
) -> Result<Vec<AttemptRow>> {
    let mut rows = db
        .run(
            "list the attempts of a delivery",
            sqlx::query_as!(
                AttemptRow,
                "/* db::delivery_log::attempts */ SELECT attempt, started_at, duration_millis,
                    request_url, request_headers, response_status, response_headers, response_body,
                    failure
                FROM webhook_attempts
                WHERE organization_id = $1 AND endpoint_id = $2 AND call_id = $3 AND sequence = $4
                ORDER BY attempt DESC LIMIT 100",
                scope.id() as OrganizationId,
                endpoint_id as WebhookEndpointId,
                key.call_id as CallId,
                key.sequence
            )
            .fetch_all(&db.pool),
        )
        .await?;
    rows.reverse();
    Ok(rows)
}

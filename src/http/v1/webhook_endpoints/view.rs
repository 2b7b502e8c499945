//! The JSON of a receiver.

use serde::Serialize;

use crate::{
    db::webhook_endpoints::EndpointRow,
    domain::{AgentId, Timestamp, WebhookEndpointId},
};

/// A receiver of events.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(in crate::http) struct EndpointView<'a> {
    id: WebhookEndpointId,
    #[schema(example = "https://example.com/hooks/onhook")]
    url: &'a str,
    description: &'a str,
    /// Empty: every type.
    events: &'a [String],
    /// Only this agent's calls; null: all.
    agent_id: Option<AgentId>,
    timeout_seconds: i32,
    /// Whether an event of a call waits until its predecessors were delivered or given up.
    ordered: bool,
    /// The names of its own headers; their values are shown to nobody.
    headers: Vec<String>,
    /// False: no events are queued for it.
    enabled: bool,
    /// True: events are queued and held back.
    paused: bool,
    disabled_reason: Option<&'a str>,
    /// The first failed attempt since one succeeded.
    failing_since: Option<Timestamp>,
    /// Until then the previous secret signs too.
    previous_secret_until: Option<Timestamp>,
    created_at: Timestamp,
    /// The signing secret; only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl<'a> EndpointView<'a> {
    pub(super) fn of(row: &'a EndpointRow, headers: Vec<String>, secret: Option<String>) -> Self {
        Self {
            id: row.id,
            url: &row.url,
            description: &row.description,
            events: &row.events,
            agent_id: row.agent_id,
            timeout_seconds: row.timeout_seconds,
            ordered: row.ordered,
            headers,
            enabled: row.disabled_at.is_none(),
            paused: row.paused_at.is_some(),
            disabled_reason: row.disabled_reason.as_deref(),
            failing_since: row.failing_since,
            previous_secret_until: row.previous_secret_until,
            created_at: row.created_at,
            secret,
        }
    }
}

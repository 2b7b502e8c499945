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
    /// Empty: every type.
    events: &'a [String],
    /// Only this agent's calls; null: all.
    agent_id: Option<AgentId>,
    timeout_seconds: i32,
    enabled: bool,
    disabled_reason: Option<&'a str>,
    created_at: Timestamp,
    /// The signing secret; only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl<'a> EndpointView<'a> {
    pub(super) fn of(row: &'a EndpointRow, secret: Option<String>) -> Self {
        Self {
            id: row.id,
            url: &row.url,
            events: &row.events,
            agent_id: row.agent_id,
            timeout_seconds: row.timeout_seconds,
            enabled: row.disabled_at.is_none(),
            disabled_reason: row.disabled_reason.as_deref(),
            created_at: row.created_at,
            secret,
        }
    }
}

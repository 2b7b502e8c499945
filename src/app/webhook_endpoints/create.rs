//! A new receiver.

use serde_json::json;

use super::{check_url, must_have_agent, new_secret, sealed_headers};
use crate::{
    app::{App, actor::By},
    db::{self, webhook_endpoints::EndpointRow},
    domain::{
        AgentId, Error, Result, WebhookEndpointId,
        webhook::{endpoint::Channel, headers::Headers, signature::SigningSecret},
    },
};

/// A receiver to create.
#[derive(Clone, Debug, Default)]
pub struct NewEndpoint {
    pub url: String,
    pub events: Vec<String>,
    pub agent_id: Option<AgentId>,
    pub timeout_seconds: i32,
    pub description: String,
    pub headers: Headers,
    /// Whether events of a call wait for their predecessors.
    pub ordered: bool,
}

/// Creates a receiver; its secret is returned here and never again.
///
/// # Errors
/// `VALIDATION_FAILED` (URL, headers), `AGENT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn create(
    app: &App,
    by: By<'_>,
    new: &NewEndpoint,
) -> Result<(EndpointRow, SigningSecret)> {
    check_url(app, &new.url)?;
    match new.agent_id {
        Some(agent_id) => must_have_agent(app, by, agent_id).await?,
        None if by.actor.is_restricted() => {
            return Err(Error::field(
                "/agent_id",
                "required",
                "must name one of the agents that the token is restricted to",
            ));
        }
        None => {}
    }
    let id = WebhookEndpointId(app.ambient.entropy.uuid());
    let (secret, sealed) = new_secret(app, by.scope, id)?;
    let row = EndpointRow {
        id,
        channel: Channel::Webhook,
        agent_id: new.agent_id,
        url: new.url.clone(),
        settings: json!({}),
        events: new.events.clone(),
        timeout_seconds: new.timeout_seconds,
        description: new.description.clone(),
        ordered: new.ordered,
        secret: sealed,
        headers: sealed_headers(app, by.scope, id, &new.headers)?,
        previous_secret_until: None,
        created_at: app.ambient.now(),
        paused_at: None,
        disabled_at: None,
        disabled_reason: None,
        failing_since: None,
    };
    db::webhook_endpoints::insert(&app.db, by.scope, &row).await?;
    let detail = json!({"before": null, "after": {
        "url": new.url, "agent_id": new.agent_id, "events": new.events,
        "timeout_seconds": new.timeout_seconds,
    }});
    let subject = id.to_string();
    by.actor
        .record(app, by.scope, "webhook_endpoint.create", &subject, detail)
        .await?;
    Ok((row, secret))
}

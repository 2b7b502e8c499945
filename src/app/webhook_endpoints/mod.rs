//! What can be done to customers' receivers of events.

use serde_json::json;

use super::{App, actor::By};
use crate::{
    db::{self, webhook_endpoints::EndpointRow},
    domain::{
        AgentId, Error, ErrorCode, OrganizationId, Result, WebhookEndpointId,
        webhook::{endpoint, signature::SigningSecret},
    },
};

/// The bytes of a new signing secret (Standard Webhooks asks for 24 to 64).
const SECRET_BYTES: usize = 32;

/// A receiver to create.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    pub url: String,
    pub events: Vec<String>,
    pub agent_id: Option<AgentId>,
    pub timeout_seconds: i32,
}

/// What a signing secret is bound to when it is sealed.
pub fn seal_context(organization_id: OrganizationId, id: WebhookEndpointId) -> String {
    format!("webhook_endpoints/{organization_id}/{id}")
}

/// Creates a receiver; its secret is returned here and never again.
///
/// # Errors
/// `VALIDATION_FAILED` (URL), `AGENT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn create(
    app: &App,
    by: By<'_>,
    new: &NewEndpoint,
) -> Result<(EndpointRow, SigningSecret)> {
    if let Some(problem) = endpoint::url_problem(&new.url, app.allow_loopback) {
        return Err(Error::field("/url", "url", problem));
    }
    match new.agent_id {
        Some(agent_id) => {
            let exists = by.actor.may_act_for(agent_id)
                && db::agents::find_settings(&app.db, by.scope, agent_id)
                    .await?
                    .is_some();
            if !exists {
                return Err(Error::new(
                    ErrorCode::AgentNotFound,
                    "There is no such agent",
                ));
            }
        }
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
    let secret = SigningSecret::new(app.ambient.entropy.bytes::<SECRET_BYTES>().to_vec());
    let context = seal_context(by.scope.id(), id);
    let row = EndpointRow {
        id,
        agent_id: new.agent_id,
        url: new.url.clone(),
        events: new.events.clone(),
        timeout_seconds: new.timeout_seconds,
        secret: app
            .keys
            .seal(secret.bytes(), &context, app.ambient.entropy.as_ref())?,
        created_at: app.ambient.now(),
        disabled_at: None,
        disabled_reason: None,
    };
    db::webhook_endpoints::insert(&app.db, by.scope, &row).await?;
    let detail = json!({"before": null, "after": {
        "url": new.url, "agent_id": new.agent_id, "events": new.events,
        "timeout_seconds": new.timeout_seconds,
    }});
    by.actor
        .record(
            app,
            by.scope,
            "webhook_endpoint.create",
            &id.to_string(),
            detail,
        )
        .await?;
    Ok((row, secret))
}

/// Deletes a receiver. False: the caller sees none.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn delete(app: &App, by: By<'_>, id: WebhookEndpointId) -> Result<bool> {
    let agents = by.actor.agents();
    let now = app.ambient.now();
    let deleted = db::webhook_endpoints::delete(&app.db, by.scope, id, agents, now).await?;
    if deleted {
        let detail = json!({"before": {"deleted_at": null}, "after": {"deleted_at": now}});
        by.actor
            .record(
                app,
                by.scope,
                "webhook_endpoint.delete",
                &id.to_string(),
                detail,
            )
            .await?;
    }
    Ok(deleted)
}

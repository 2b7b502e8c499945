//! What can be done to customers' receivers of events.

mod create;
mod delete;
mod disable;
mod replay;
mod rotate_secret;
mod send_test;
mod update;

pub use create::{NewEndpoint, create};
pub use delete::delete;
pub use disable::{disable_failing, record_gone};
pub use replay::{Again, replay, resend};
pub use rotate_secret::rotate_secret;
pub use send_test::send_test;
pub use update::{ChangedEndpoint, update};

use super::{App, actor::By};
use crate::{
    crypto::sealed::Sealed,
    db::{
        self,
        webhook_endpoints::{EndpointRow, Visible},
    },
    domain::{
        AgentId, Error, ErrorCode, OrgScope, OrganizationId, Result, WebhookEndpointId,
        webhook::{
            endpoint::{self, Channel},
            headers::{self, Headers},
            signature::SigningSecret,
        },
    },
};

/// The bytes of a new signing secret (Standard Webhooks asks for 24 to 64).
const SECRET_BYTES: usize = 32;

/// What a signing secret is bound to when it is sealed.
pub fn seal_context(organization_id: OrganizationId, id: WebhookEndpointId) -> String {
    format!("webhook_endpoints/{organization_id}/{id}")
}

/// What the headers of a receiver are bound to when they are sealed.
pub fn headers_context(organization_id: OrganizationId, id: WebhookEndpointId) -> String {
    format!("webhook_endpoints.headers/{organization_id}/{id}")
}

/// Where a receiver is looked for, beside the organisation.
#[derive(Clone, Debug)]
pub struct Place {
    pub channel: Channel,
    /// `None`: wherever the caller may look.
    pub agents: Option<Vec<AgentId>>,
}

impl Place {
    /// All that the caller may see.
    pub fn of(by: By<'_>) -> Self {
        Self::of_channel(by, Channel::Webhook)
    }

    /// All of a channel that the caller may see.
    pub fn of_channel(by: By<'_>, channel: Channel) -> Self {
        let agents = by.actor.agents();
        Self {
            channel,
            agents: agents.map(<[AgentId]>::to_vec),
        }
    }

    /// Those of one agent, which the caller must be allowed to act for.
    ///
    /// # Errors
    /// `AGENT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
    pub async fn of_agent(app: &App, by: By<'_>, agent_id: AgentId) -> Result<Self> {
        must_have_agent(app, by, agent_id).await?;
        Ok(Self {
            channel: Channel::Webhook,
            agents: Some(vec![agent_id]),
        })
    }

    pub fn visible(&self) -> Visible<'_> {
        Visible {
            channel: self.channel,
            agents: self.agents.as_deref(),
        }
    }
}

/// How a receiver that cannot be seen is answered, whatever the reason.
pub fn not_found() -> Error {
    Error::new(
        ErrorCode::WebhookEndpointNotFound,
        "There is no such webhook endpoint",
    )
}

/// The receiver.
///
/// # Errors
/// `WEBHOOK_ENDPOINT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn get(
    app: &App,
    scope: OrgScope,
    place: &Place,
    id: WebhookEndpointId,
) -> Result<EndpointRow> {
    db::webhook_endpoints::find(&app.db, scope, id, place.visible())
        .await?
        .ok_or_else(not_found)
}

/// As [`get`], of a receiver that deliveries go to.
///
/// # Errors
/// As [`get`], and `WEBHOOK_ENDPOINT_DISABLED`.
async fn get_enabled(
    app: &App,
    scope: OrgScope,
    place: &Place,
    id: WebhookEndpointId,
) -> Result<EndpointRow> {
    let row = get(app, scope, place, id).await?;
    if row.disabled_at.is_some() || row.paused_at.is_some() {
        return Err(Error::new(
            ErrorCode::WebhookEndpointDisabled,
            "Nothing is sent to this webhook endpoint: enable it, or end its pause, first",
        ));
    }
    Ok(row)
}

/// The names of a receiver's own headers; their values are shown to nobody.
///
/// # Errors
/// `INTERNAL` when they cannot be opened.
pub fn header_names(app: &App, scope: OrgScope, row: &EndpointRow) -> Result<Vec<String>> {
    let Some(sealed) = &row.headers else {
        return Ok(Vec::new());
    };
    let opened = app
        .keys
        .open(sealed, &headers_context(scope.id(), row.id))?;
    let headers: Headers = serde_json::from_slice(&opened)
        .map_err(|error| Error::internal("read a webhook endpoint's headers", error))?;
    Ok(headers.into_keys().collect())
}

pub(in crate::app) async fn must_have_agent(
    app: &App,
    by: By<'_>,
    agent_id: AgentId,
) -> Result<()> {
    let exists = by.actor.may_act_for(agent_id)
        && db::agents::find_settings(&app.db, by.scope, agent_id)
            .await?
            .is_some();
    if exists {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::AgentNotFound,
        "There is no such agent",
    ))
}

fn check_url(app: &App, url: &str) -> Result<()> {
    match endpoint::url_problem(url, app.allow_loopback) {
        Some(problem) => Err(Error::field("/url", "url", problem)),
        None => Ok(()),
    }
}

/// Checks and seals a receiver's own headers; none: nothing is kept.
fn sealed_headers(
    app: &App,
    scope: OrgScope,
    id: WebhookEndpointId,
    given: &Headers,
) -> Result<Option<Sealed>> {
    if let Some((name, problem)) = headers::problem(given) {
        let name = name.replace('~', "~0").replace('/', "~1");
        let pointer = if name.is_empty() {
            "/headers".to_owned()
        } else {
            format!("/headers/{name}")
        };
        return Err(Error::field(pointer, "header", problem));
    }
    if given.is_empty() {
        return Ok(None);
    }
    let lower: Headers = given
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let text = serde_json::to_vec(&lower)
        .map_err(|error| Error::internal("write a webhook endpoint's headers", error))?;
    let context = headers_context(scope.id(), id);
    let entropy = app.ambient.entropy.as_ref();
    app.keys.seal(&text, &context, entropy).map(Some)
}

/// A new secret, and as it is kept.
fn new_secret(
    app: &App,
    scope: OrgScope,
    id: WebhookEndpointId,
) -> Result<(SigningSecret, Sealed)> {
    let secret = SigningSecret::new(app.ambient.entropy.bytes::<SECRET_BYTES>().to_vec());
    let context = seal_context(scope.id(), id);
    let entropy = app.ambient.entropy.as_ref();
    let sealed = app.keys.seal(secret.bytes(), &context, entropy)?;
    Ok((secret, sealed))
}

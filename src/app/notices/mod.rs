//! Notices of calls over Telegram and to agents' gateways. A notice is a receiver of events over
//! another channel: queue, log, pause and disabling are those of `app/webhook_endpoints`.

use serde_json::{Value, json};

use super::{
    App,
    actor::By,
    webhook_endpoints::{Place, must_have_agent, seal_context},
};
use crate::{
    db::{self, webhook_endpoints::EndpointRow},
    domain::{
        AgentId, Error, ErrorCode, Result, WebhookEndpointId,
        call::FactType,
        notice::{gateway, telegram},
        webhook::endpoint::{self, Channel},
    },
};

/// The channels of notices.
const CHANNELS: [Channel; 2] = [Channel::Telegram, Channel::Gateway];

/// Where a notice goes.
pub enum Target {
    Telegram {
        token: String,
        settings: telegram::Settings,
        /// Of a Bot API server; `None`: Telegram's own.
        api_base_url: Option<String>,
    },
    Gateway {
        url: String,
        /// Shown in `Authorization`, if there is one.
        token: Option<String>,
        settings: gateway::Settings,
    },
}

/// A notice to create.
pub struct NewNotice {
    pub target: Target,
    /// Empty: those that the channel tells of by default.
    pub events: Vec<String>,
    pub agent_id: Option<AgentId>,
    pub description: String,
    pub timeout_seconds: i32,
}

impl Target {
    fn channel(&self) -> Channel {
        match self {
            Self::Telegram { .. } => Channel::Telegram,
            Self::Gateway { .. } => Channel::Gateway,
        }
    }
}

/// The events that a channel can tell of; those that it tells of by default come first, as many as
/// are said.
fn events_of(channel: Channel) -> (&'static [FactType], usize) {
    match channel {
        Channel::Telegram => (
            &[
                FactType::Started,
                FactType::Ended,
                FactType::Error,
                FactType::Connected,
            ],
            3,
        ),
        Channel::Gateway => (&[FactType::Started, FactType::Ended, FactType::Error], 3),
        Channel::Webhook => (&[], 0),
    }
}

/// Creates a notice. Its secret is sealed and shown to nobody.
///
/// # Errors
/// `VALIDATION_FAILED`, `AGENT_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn create(app: &App, by: By<'_>, new: &NewNotice) -> Result<EndpointRow> {
    let channel = new.target.channel();
    let (url, secret, settings) = checked(app, &new.target)?;
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
    let context = seal_context(by.scope.id(), id);
    let entropy = app.ambient.entropy.as_ref();
    let row = EndpointRow {
        id,
        channel,
        agent_id: new.agent_id,
        url,
        settings,
        events: events(channel, &new.events)?,
        timeout_seconds: new.timeout_seconds,
        description: new.description.clone(),
        // A chat reads what came first first.
        ordered: true,
        secret: app.keys.seal(secret.as_bytes(), &context, entropy)?,
        headers: None,
        previous_secret_until: None,
        created_at: app.ambient.now(),
        paused_at: None,
        disabled_at: None,
        disabled_reason: None,
        failing_since: None,
    };
    db::webhook_endpoints::insert(&app.db, by.scope, &row).await?;
    let detail =
        json!({"channel": channel.as_str(), "agent_id": new.agent_id, "events": row.events});
    let subject = id.to_string();
    let action = "notice.create";
    by.actor
        .record(app, by.scope, action, &subject, detail)
        .await?;
    Ok(row)
}

/// The events that a notice is to tell of, checked.
///
/// # Errors
/// `VALIDATION_FAILED`.
pub fn events(channel: Channel, given: &[String]) -> Result<Vec<String>> {
    let (known, default) = events_of(channel);
    if given.is_empty() {
        let names = known.iter().take(default);
        return Ok(names.map(|kind| kind.as_str().to_owned()).collect());
    }
    for (index, name) in given.iter().enumerate() {
        if !known.iter().any(|kind| kind.as_str() == name) {
            let known: Vec<&str> = known.iter().map(|kind| kind.as_str()).collect();
            return Err(Error::field(
                format!("/events/{index}"),
                "unknown",
                format!("must be one of {}", known.join(", ")),
            ));
        }
    }
    Ok(given.to_vec())
}

/// Address, secret and settings as they are kept.
fn checked(app: &App, target: &Target) -> Result<(String, String, Value)> {
    let wrong = |pointer: &str, problem: Option<&'static str>| match problem {
        Some(problem) => Err(Error::field(pointer, "invalid", problem)),
        None => Ok(()),
    };
    match target {
        Target::Telegram {
            token,
            settings,
            api_base_url,
        } => {
            wrong("/telegram/bot_token", telegram::token_problem(token))?;
            wrong("/telegram/chat_id", telegram::settings_problem(settings))?;
            let url = api_base_url.as_deref().unwrap_or(telegram::API);
            let problem = endpoint::url_problem(url, app.allow_loopback);
            wrong("/telegram/api_base_url", problem)?;
            let plain = !url.contains(['?', '#']);
            let problem = (!plain).then_some("must have neither a query nor a fragment");
            wrong("/telegram/api_base_url", problem)?;
            let url = url.trim_end_matches('/').to_owned();
            Ok((url, token.clone(), json!(settings)))
        }
        Target::Gateway {
            url,
            token,
            settings,
        } => {
            let ours = url.starts_with("wss://") || url.starts_with("ws://");
            let problem = (!ours).then_some("must be a wss URL");
            wrong("/gateway/url", problem)?;
            let http = gateway::http_url(url);
            wrong(
                "/gateway/url",
                endpoint::url_problem(&http, app.allow_loopback),
            )?;
            let problem = token.as_deref().and_then(gateway::token_problem);
            wrong("/gateway/token", problem)?;
            let token = token.clone().unwrap_or_default();
            Ok((url.clone(), token, json!(settings)))
        }
    }
}

/// The notices that the caller may see, oldest first of each channel.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn list(app: &App, by: By<'_>) -> Result<Vec<EndpointRow>> {
    let mut rows = Vec::new();
    for channel in CHANNELS {
        let place = Place::of_channel(by, channel);
        rows.extend(db::webhook_endpoints::list(&app.db, by.scope, place.visible()).await?);
    }
    Ok(rows)
}

/// The notice and where it is looked for.
///
/// # Errors
/// `NOTICE_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn get(app: &App, by: By<'_>, id: &str) -> Result<(Place, EndpointRow)> {
    let not_found = || Error::new(ErrorCode::NoticeNotFound, "There is no such notice");
    let id: WebhookEndpointId = id.parse().map_err(|_| not_found())?;
    for channel in CHANNELS {
        let place = Place::of_channel(by, channel);
        let found = db::webhook_endpoints::find(&app.db, by.scope, id, place.visible()).await?;
        if let Some(row) = found {
            return Ok((place, row));
        }
    }
    Err(not_found())
}

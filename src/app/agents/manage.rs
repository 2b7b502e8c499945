//! What can be done to agents. Calls that live go on whatever is done.

use serde_json::{Value, json};

use crate::{
    app::{Actor, App, actor::By},
    db::{
        Removal,
        agents::managed::{self, AgentRow, AgentUpdate},
    },
    domain::{
        AgentId, Error, ErrorCode, Result,
        agent::{AgentSettings, Answer},
        call::Limits,
    },
};

/// How often somebody else may be faster before a change is given up.
const MOST_ROUNDS: u32 = 16;

/// What is to become of an agent; `None`: it stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AgentChange {
    pub name: Option<String>,
    pub answer: Option<Answer>,
    pub max_duration_seconds: Option<i32>,
    pub ring_timeout_seconds: Option<i32>,
    /// `Some(None)`: any.
    pub allowed_destinations: Option<Option<Vec<String>>>,
    pub published: Option<bool>,
}

impl AgentChange {
    fn settings(&self, before: &AgentSettings) -> AgentSettings {
        let limits = before.limits;
        AgentSettings {
            answer: self.answer.clone().unwrap_or_else(|| before.answer.clone()),
            limits: Limits {
                max_duration_seconds: self
                    .max_duration_seconds
                    .unwrap_or(limits.max_duration_seconds),
                ring_timeout_seconds: self
                    .ring_timeout_seconds
                    .unwrap_or(limits.ring_timeout_seconds),
            },
            allowed_destinations: self
                .allowed_destinations
                .clone()
                .unwrap_or_else(|| before.allowed_destinations.clone()),
        }
    }
}

/// Makes an agent, which takes no calls before it is published.
///
/// # Errors
/// `TOKEN_RESTRICTED`, `VALIDATION_FAILED`, `DATABASE_UNAVAILABLE`.
pub async fn create(app: &App, by: By<'_>, name: &str, change: &AgentChange) -> Result<AgentRow> {
    unrestricted(by.actor)?;
    let settings = checked(app, change, &AgentSettings::default())?;
    let id = AgentId(app.ambient.entropy.uuid());
    let detail = json!({"before": Value::Null, "after": shown(name, &settings, false)});
    let act = by.actor.act(app, "agent.create", id, detail);
    managed::insert(&app.db, by.scope, id, name, &written(&settings)?, &act).await?;
    Ok(AgentRow {
        id,
        name: name.to_owned(),
        settings,
        version: 1,
        created_at: act.at,
        updated_at: None,
        published_at: None,
        numbers: Vec::new(),
    })
}

/// Changes an agent. `None`: the caller sees none. What changes nothing is not recorded.
///
/// # Errors
/// `VALIDATION_FAILED`, `DATABASE_UNAVAILABLE`.
pub async fn update(
    app: &App,
    by: By<'_>,
    id: AgentId,
    change: &AgentChange,
) -> Result<Option<AgentRow>> {
    for _ in 0..MOST_ROUNDS {
        let Some(before) = find(app, by, id).await? else {
            return Ok(None);
        };
        let settings = checked(app, change, &before.settings)?;
        let now = app.ambient.now();
        let mut after = AgentRow {
            name: change.name.clone().unwrap_or_else(|| before.name.clone()),
            settings,
            published_at: match change.published {
                Some(true) => before.published_at.or(Some(now)),
                Some(false) => None,
                None => before.published_at,
            },
            ..before.clone()
        };
        let same = after.name == before.name
            && after.settings == before.settings
            && after.published_at == before.published_at;
        if same {
            return Ok(Some(before));
        }
        let detail = json!({"before": shown_row(&before), "after": shown_row(&after)});
        let action = match change.published {
            Some(true) => "agent.publish",
            Some(false) => "agent.unpublish",
            None => "agent.update",
        };
        let act = by.actor.act(app, action, id, detail);
        let update = AgentUpdate {
            id,
            version: before.version,
            name: &after.name,
            settings: &written(&after.settings)?,
            published_at: after.published_at,
        };
        if managed::update(&app.db, by.scope, &update, &act).await? {
            after.version += 1;
            after.updated_at = Some(act.at);
            return Ok(Some(after));
        }
    }
    Err(Error::internal(
        "change an agent",
        "lost every round to a faster change",
    ))
}

/// Deletes an agent. False: the caller sees none.
///
/// # Errors
/// `AGENT_IN_USE` (it has live calls), `DATABASE_UNAVAILABLE`.
pub async fn delete(app: &App, by: By<'_>, id: AgentId) -> Result<bool> {
    let Some(before) = find(app, by, id).await? else {
        return Ok(false);
    };
    let detail = json!({"before": shown_row(&before), "after": Value::Null});
    let act = by.actor.act(app, "agent.delete", id, detail);
    match managed::delete(&app.db, by.scope, id, &act).await? {
        Removal::Done => Ok(true),
        Removal::Missing => Ok(false),
        Removal::InUse => Err(Error::new(
            ErrorCode::AgentInUse,
            "The agent has live calls; unpublish it and end them, or wait until they are over",
        )),
    }
}

/// An agent that the caller may act for.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub async fn find(app: &App, by: By<'_>, id: AgentId) -> Result<Option<AgentRow>> {
    if !by.actor.may_act_for(id) {
        return Ok(None);
    }
    managed::find(&app.db, by.scope, id).await
}

/// # Errors
/// `TOKEN_RESTRICTED`.
pub(in crate::app) fn unrestricted(actor: &Actor) -> Result<()> {
    if !actor.is_restricted() {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::TokenRestricted,
        "The token is restricted to some agents, and this is about the whole organisation; use another",
    ))
}

fn checked(app: &App, change: &AgentChange, before: &AgentSettings) -> Result<AgentSettings> {
    let settings = change.settings(before);
    let problems = settings.problems(app.allow_loopback);
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(Error::validation(problems))
    }
}

fn written(settings: &AgentSettings) -> Result<Value> {
    serde_json::to_value(settings)
        .map_err(|error| Error::internal("write an agent's settings", error))
}

fn shown_row(row: &AgentRow) -> Value {
    shown(&row.name, &row.settings, row.published_at.is_some())
}

fn shown(name: &str, settings: &AgentSettings, published: bool) -> Value {
    json!({"name": name, "settings": settings, "published": published})
}

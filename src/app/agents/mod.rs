//! Agents: how they are managed, and which one acts when a request names none.

pub mod manage;

use super::{App, actor::By};
use crate::{
    db,
    domain::{AgentId, Error, ErrorCode, Result},
};

/// The one agent that whoever asks can only mean: the one that the token is restricted to, else
/// the only published one that it may act for. Never a guess among several.
///
/// # Errors
/// `INVALID_REQUEST`, saying what to do, when there is none or more than one;
/// `DATABASE_UNAVAILABLE`.
pub async fn only(app: &App, by: By<'_>) -> Result<AgentId> {
    let agents = by.actor.agents();
    if let Some([agent_id]) = agents {
        return Ok(*agent_id);
    }
    let published = db::agents::published(&app.db, by.scope, agents, 2).await?;
    match published.as_slice() {
        [agent_id] => Ok(*agent_id),
        [] => Err(Error::new(
            ErrorCode::InvalidRequest,
            "No agent can place this call: publish one",
        )),
        _ => Err(Error::new(
            ErrorCode::InvalidRequest,
            "Several agents could place this call: use a token for one of them, or \
             POST /api/v1/agents/{agent_id}/call",
        )),
    }
}

//! The JSON of an agent.

use serde::Serialize;

use crate::{
    db::agents::managed::AgentRow,
    domain::{AgentId, Timestamp, agent::Answer, call::Limits},
};

/// An agent, which places and takes calls.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Agent)]
pub(in crate::http) struct AgentView<'a> {
    id: AgentId,
    name: &'a str,
    /// Whether it takes new calls, in both directions.
    published: bool,
    /// What the callee hears.
    answer: &'a Answer,
    /// Of its calls, where they name none.
    limits: Limits,
    /// How the only numbers that it may call begin; null: any.
    #[schema(example = json!(["+49", "+1212"]))]
    allowed_destinations: Option<&'a [String]>,
    /// The numbers that are its own.
    #[schema(example = json!(["+15550100"]))]
    phone_numbers: &'a [String],
    created_at: Timestamp,
    /// Null: never changed.
    updated_at: Option<Timestamp>,
    published_at: Option<Timestamp>,
}

impl<'a> From<&'a AgentRow> for AgentView<'a> {
    fn from(row: &'a AgentRow) -> Self {
        Self {
            id: row.id,
            name: &row.name,
            published: row.published_at.is_some(),
            answer: &row.settings.answer,
            limits: row.settings.limits,
            allowed_destinations: row.settings.allowed_destinations.as_deref(),
            phone_numbers: &row.numbers,
            created_at: row.created_at,
            updated_at: row.updated_at,
            published_at: row.published_at,
        }
    }
}

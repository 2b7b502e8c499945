//! The JSON of a phone number.

use serde::Serialize;

use crate::{
    db::phone_numbers::NumberRow,
    domain::{AgentId, PhoneNumberId, ProviderAccountId, Timestamp},
};

/// A phone number of the organisation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PhoneNumber)]
pub(in crate::http) struct NumberView<'a> {
    id: PhoneNumberId,
    #[schema(example = "+15550100")]
    number: &'a str,
    provider_account_id: ProviderAccountId,
    /// Whose it is; null: nobody's.
    agent_id: Option<AgentId>,
    /// Whether its agent takes calls to it.
    inbound: bool,
    /// Whether calls are placed from it: its agent's where they name none, any agent's that name it.
    outbound: bool,
    created_at: Timestamp,
}

impl<'a> From<&'a NumberRow> for NumberView<'a> {
    fn from(row: &'a NumberRow) -> Self {
        Self {
            id: row.id,
            number: row.number.reveal(),
            provider_account_id: row.provider_account_id,
            agent_id: row.agent_id,
            inbound: row.inbound,
            outbound: row.outbound,
            created_at: row.created_at,
        }
    }
}

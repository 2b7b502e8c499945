//! The JSON of a token.

use serde::Serialize;

use crate::{
    db::tokens::TokenRow,
    domain::{
        AgentId, Timestamp, TokenId,
        grant::Sources,
        token::{Environment, TokenText},
    },
};

/// An API token; never its text, but for the answer to its making.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Token)]
pub(in crate::http) struct TokenView<'a> {
    id: TokenId,
    name: &'a str,
    /// How its text begins.
    #[schema(example = "ohk_live_Hn3x")]
    prefix: &'a str,
    environment: Environment,
    #[schema(example = json!(["calls:read", "calls:end"]))]
    scopes: Vec<&'static str>,
    /// The only agents it may act for; null: all.
    agent_ids: Option<&'a [AgentId]>,
    /// The only networks it may be used from, in CIDR notation; null: any.
    #[schema(example = json!(["203.0.113.0/24"]))]
    source_addresses: Option<Vec<String>>,
    created_at: Timestamp,
    /// As the audit log names who made it; null: not known.
    #[schema(example = "token:0f0e0d0c-0b0a-4908-8706-050403020100")]
    created_by: Option<&'a str>,
    /// Null: it does not expire.
    expires_at: Option<Timestamp>,
    /// To within some seconds; null: never used.
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// The token that rotation put in its place.
    replaced_by: Option<TokenId>,
    /// The token itself; only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> TokenView<'a> {
    pub(super) fn of(row: &'a TokenRow, text: Option<&'a TokenText>) -> Self {
        let scopes = row.grant.scopes.iter().map(|scope| scope.as_str());
        Self {
            id: row.id,
            name: &row.name,
            prefix: &row.prefix,
            environment: row.grant.environment,
            scopes: scopes.collect(),
            agent_ids: row.grant.agent_ids.as_deref(),
            source_addresses: row.grant.sources.as_ref().map(Sources::texts),
            created_at: row.created_at,
            created_by: row.created_by.as_deref(),
            expires_at: row.grant.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            replaced_by: row.replaced_by,
            token: text.map(TokenText::reveal),
        }
    }
}

//! What tokens' columns say: a grant as it is written and read, a token as it is managed.

use std::str::FromStr;

use uuid::Uuid;

use crate::domain::{
    AgentId, Timestamp, TokenId,
    grant::{Grant, Sources},
    token::{Environment, Scope},
};

/// A token as it is managed; nothing of its text but the prefix.
#[derive(Clone, Debug)]
pub struct TokenRow {
    pub id: TokenId,
    pub name: String,
    pub prefix: String,
    pub grant: Grant,
    pub created_at: Timestamp,
    pub created_by: Option<String>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub replaced_by: Option<TokenId>,
}

impl TokenRow {
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.grant.expires_at.is_none_or(|end| end > now)
    }
}

/// A token in the columns, as it is read to be managed.
pub(super) struct Stored {
    pub(super) id: TokenId,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) environment: Environment,
    pub(super) scopes: Vec<String>,
    pub(super) agent_ids: Option<Vec<Uuid>>,
    pub(super) source_addresses: Option<Vec<String>>,
    pub(super) created_at: Timestamp,
    pub(super) created_by: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) revoked_at: Option<Timestamp>,
    pub(super) replaced_by: Option<TokenId>,
}

impl From<Stored> for TokenRow {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id,
            name: stored.name,
            prefix: stored.prefix,
            grant: Grant {
                environment: stored.environment,
                scopes: scopes(&stored.scopes),
                agent_ids: agents(stored.agent_ids),
                sources: sources(stored.source_addresses),
                expires_at: stored.expires_at,
            },
            created_at: stored.created_at,
            created_by: stored.created_by,
            last_used_at: stored.last_used_at,
            revoked_at: stored.revoked_at,
            replaced_by: stored.replaced_by,
        }
    }
}

/// A scope that this version does not know grants nothing.
pub(super) fn scopes(names: &[String]) -> Vec<Scope> {
    let known = names.iter().filter_map(|name| Scope::from_str(name).ok());
    known.collect()
}

pub(super) fn agents(ids: Option<Vec<Uuid>>) -> Option<Vec<AgentId>> {
    ids.map(|ids| ids.into_iter().map(AgentId).collect())
}

/// A network that this version cannot read lets nothing through.
pub(super) fn sources(texts: Option<Vec<String>>) -> Option<Sources> {
    texts.map(|mut texts| {
        texts.retain(|text| Sources::parse(std::slice::from_ref(text)).is_ok());
        Sources::parse(&texts).unwrap_or_default()
    })
}

/// What a grant is in the columns.
pub(super) struct Columns {
    pub(super) scopes: Vec<String>,
    pub(super) agents: Option<Vec<Uuid>>,
    pub(super) sources: Option<Vec<String>>,
}

impl Columns {
    pub(super) fn of(grant: &Grant) -> Self {
        let scopes = grant.scopes.iter().map(|scope| scope.as_str().to_owned());
        let agents = grant.agent_ids.as_ref();
        Self {
            scopes: scopes.collect(),
            agents: agents.map(|ids| ids.iter().map(|id| id.0).collect()),
            sources: grant.sources.as_ref().map(Sources::texts),
        }
    }
}

//! Who does something.

use super::App;
use crate::{
    db::{self, calls::AuditRow},
    domain::{
        AgentId, AuditEntryId, Error, ErrorCode, OrgScope, Result,
        token::{Caller, Principal, Scope},
    },
};

/// Who does something, and from where.
#[derive(Clone, Debug)]
pub enum Actor {
    /// A program with an API token, a person with a session, or whoever is on the machine itself
    /// in local mode.
    Token {
        caller: Caller,
        address: Option<String>,
        request_id: String,
    },
    /// The operator, with the node's admin token: for any organisation.
    Admin {
        address: Option<String>,
        request_id: String,
    },
    /// Onhook itself, by the named rule.
    System(&'static str),
}

impl Actor {
    /// The name in events, receipts and the audit log.
    pub fn name(&self) -> String {
        match self {
            Self::Token { caller, .. } => match caller.principal {
                Principal::Token(id) => format!("token:{id}"),
                Principal::Person { person_id, .. } => format!("person:{person_id}"),
                Principal::Local => "local".to_owned(),
            },
            Self::Admin { .. } => "admin".to_owned(),
            Self::System(rule) => format!("system:{rule}"),
        }
    }

    pub(super) fn audit(
        &self,
        id: AuditEntryId,
        action: &'static str,
        detail: serde_json::Value,
    ) -> AuditRow {
        let (address, request_id) = match self {
            Self::Token {
                address,
                request_id,
                ..
            }
            | Self::Admin {
                address,
                request_id,
            } => (address.clone(), Some(request_id.clone())),
            Self::System(_) => (None, None),
        };
        AuditRow {
            id,
            actor: self.name(),
            action,
            address,
            request_id,
            detail,
        }
    }

    /// Records an act that is not a change of a call.
    pub(super) async fn record(
        &self,
        app: &App,
        scope: OrgScope,
        action: &'static str,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<()> {
        let entry = self.audit(AuditEntryId(app.ambient.ordered_uuid()), action, detail);
        db::audit_entries::insert(&app.db, scope, &entry, subject, app.ambient.now()).await
    }

    /// The only agents the actor may act for; `None`: all.
    pub fn agents(&self) -> Option<&[AgentId]> {
        match self {
            Self::Token { caller, .. } => caller.agent_ids.as_deref(),
            Self::Admin { .. } | Self::System(_) => None,
        }
    }

    pub fn is_restricted(&self) -> bool {
        self.agents().is_some()
    }

    /// Whether the actor may act for this agent. Who may not, sees what a stranger sees.
    pub fn may_act_for(&self, agent_id: AgentId) -> bool {
        match self {
            Self::Token { caller, .. } => caller.may_act_for(agent_id),
            Self::Admin { .. } | Self::System(_) => true,
        }
    }
}

/// The organisation a caller acts for, if its token has the scope.
///
/// # Errors
/// `SCOPE_MISSING`, naming the scope.
pub fn authorize(caller: &Caller, scope: Scope) -> Result<()> {
    if caller.scopes.contains(&scope) {
        return Ok(());
    }
    let scope = scope.as_str();
    let detail = match caller.principal {
        Principal::Person { role, .. } => format!(
            "Your role, {}, lacks the scope {scope}; ask somebody whose role has it",
            role.as_str()
        ),
        Principal::Token(_) | Principal::Local => {
            format!("The token lacks the scope {scope}; use a token that has it")
        }
    };
    Err(Error::new(ErrorCode::ScopeMissing, detail))
}

/// Asks for a verified account: ending by `terminate`, keys and invitations need one.
///
/// # Errors
/// `ACCOUNT_NOT_VERIFIED`.
pub fn ask_verified(caller: &Caller) -> Result<()> {
    if caller.verified {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::AccountNotVerified,
        "This needs a verified account: confirm your e-mail address, or have the organisation verified",
    ))
}

/// What one organisation's actor does to one of its things.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    pub scope: OrgScope,
    pub actor: &'a Actor,
}

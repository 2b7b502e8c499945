//! Who does something.

use super::{App, people};
use crate::{
    db::{self, audit_entries::Act, calls::AuditRow},
    domain::{
        AgentId, AuditEntryId, Error, ErrorCode, OrgScope, Result,
        call::Call,
        token::{Caller, Environment, Principal, Scope},
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

    /// An act on what is no call, to be recorded by the statement of the change itself.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a subject is an id, which is copied"
    )]
    pub(super) fn act(
        &self,
        app: &App,
        action: &'static str,
        subject: impl ToString,
        detail: serde_json::Value,
    ) -> Act {
        Act {
            entry: self.audit(AuditEntryId(app.ambient.entropy.uuid()), action, detail),
            subject: subject.to_string(),
            at: app.ambient.now(),
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

    /// Whether the actor may see and end this call. Who may not, sees what a stranger sees.
    pub fn may_see(&self, call: &Call) -> bool {
        match self {
            Self::Token { caller, .. } => caller.may_see(call),
            Self::Admin { .. } | Self::System(_) => true,
        }
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
/// `SCOPE_MISSING`, naming the scope; `ENVIRONMENT_MISMATCH` (a test token, and a scope that reaches
/// what live calls use).
pub fn authorize(caller: &Caller, scope: Scope) -> Result<()> {
    if caller.scopes.contains(&scope) {
        if caller.environment == Environment::Test && !scope.is_for_tests() {
            return Err(Error::new(
                ErrorCode::EnvironmentMismatch,
                format!(
                    "A test token cannot use the scope {}, which reaches what live calls use; use a live token",
                    scope.as_str()
                ),
            ));
        }
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

/// A person as it is now and not as it is remembered, if its role still has the scope: for what gives
/// somebody rights, which would outlast those that it is given by.
///
/// # Errors
/// As [`authorize`]; for a person also `UNAUTHENTICATED` (the session is over),
/// `ORGANIZATION_NOT_FOUND` (no member any more), `DATABASE_UNAVAILABLE`.
pub async fn as_it_is_now(app: &App, caller: &Caller, scope: Scope) -> Result<Caller> {
    let Principal::Person {
        person_id,
        session_id,
        ..
    } = caller.principal
    else {
        return Ok(caller.clone());
    };
    let person = (person_id, session_id);
    let caller = people::identify_anew(app, person, caller.organization_id).await?;
    authorize(&caller, scope)?;
    Ok(caller)
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

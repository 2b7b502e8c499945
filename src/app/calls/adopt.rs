//! Brings a call that other software placed under our control. Whoever asks has read it at the
//! provider in between ([`plan`], then [`record`]), with nothing of ours held meanwhile.

use serde_json::json;

use super::observe;
use crate::{
    app::{App, actor::By},
    db::{
        self,
        agents::{AdoptionPlan, DialAccount},
        calls::Effects,
    },
    domain::{
        AgentId, AuditEntryId, CallId, Error, ErrorCode, LedgerEntryId, ProviderAccountId, Result,
        call::{self, Call, CallStatus, DialState, Direction, Metadata},
        error::FieldProblem,
        phone::Phone,
        provider::{Description, Parties, Progress},
    },
};

/// A call to take over.
#[derive(Clone, Debug)]
pub struct Adoption {
    pub agent_id: AgentId,
    pub provider_account_id: ProviderAccountId,
    pub provider_call_id: String,
    /// For a provider that does not tell; what it tells goes before.
    pub from: Option<Phone>,
    pub to: Option<Phone>,
    pub direction: Option<Direction>,
    /// The caller's token is for tests: simulated accounts only, never billed.
    pub test: bool,
}

/// What is known before the provider is asked.
#[derive(Debug)]
pub enum Planned {
    /// The call is under our control already.
    Known(Box<Call>),
    Unknown(Plan),
}

/// What a new call is recorded with.
#[derive(Debug)]
pub struct Plan {
    account: DialAccount,
    rest: AdoptionPlan,
}

/// Finds the call, or what is needed to record it.
///
/// # Errors
/// `AGENT_NOT_FOUND`, `PROVIDER_ACCOUNT_NOT_FOUND`, `VALIDATION_FAILED` (a test token and a real
/// account), `CALL_NOT_FOUND` (it is another agent's, for which the token may not act),
/// `DATABASE_UNAVAILABLE`.
pub async fn plan(app: &App, by: By<'_>, wanted: &Adoption) -> Result<Planned> {
    let no_agent = || Error::new(ErrorCode::AgentNotFound, "There is no such agent");
    if !by.actor.may_act_for(wanted.agent_id) {
        return Err(no_agent());
    }
    let (agent_id, account_id) = (wanted.agent_id, wanted.provider_account_id);
    let now = app.ambient.now();
    let plan = db::agents::find_adoption_plan(&app.db, by.scope, agent_id, account_id, now).await?;
    let plan = plan.ok_or_else(no_agent)?;
    let account = plan.account.ok_or_else(|| {
        Error::new(
            ErrorCode::ProviderAccountNotFound,
            "There is no such provider account",
        )
    })?;
    if wanted.test && !account.simulated {
        return Err(Error::field(
            "/provider_account_id",
            "not_simulated",
            "must be a simulated account: a test token reaches no real one",
        ));
    }
    match known(app, by, wanted).await? {
        Some(call) => Ok(Planned::Known(Box::new(call))),
        None => Ok(Planned::Unknown(Plan {
            account,
            rest: plan,
        })),
    }
}

/// Records the call as the provider described it. Durable when this returns; a call that was
/// recorded meanwhile is returned as it is, with false.
///
/// # Errors
/// `CALL_STATUS_MISMATCH` (it is over), `VALIDATION_FAILED` (naming what the provider does not
/// tell), `CALL_NOT_FOUND` as [`plan`], `DATABASE_UNAVAILABLE`.
pub async fn record(
    app: &App,
    by: By<'_>,
    wanted: &Adoption,
    plan: Plan,
    described: &Description,
) -> Result<(Call, bool)> {
    let status = status(described)?;
    let parties = parties(wanted, described.parties.as_ref())?;
    let call = draft(app, by, wanted, plan, parties, described);
    let change = call::adopt(call, status);
    let mut effects = Effects::at(
        change.call.created_at,
        LedgerEntryId(app.ambient.ordered_uuid()),
    );
    let detail = json!({
        "before": null,
        "after": {
            "agent_id": wanted.agent_id,
            "provider_account_id": wanted.provider_account_id,
            "provider_call_id": wanted.provider_call_id,
        },
    });
    let audit_id = AuditEntryId(app.ambient.ordered_uuid());
    effects.audit = Some(by.actor.audit(audit_id, "call.adopt", detail));
    match db::calls::create(&app.db, by.scope, &change, &effects).await {
        Ok(()) => {}
        Err(error) if error.code == ErrorCode::DuplicateReference => {
            let call = known(app, by, wanted).await?;
            return call.map(|call| (call, false)).ok_or(error);
        }
        Err(error) => return Err(error),
    }
    let call = observe::apply_parked(app, by.scope, change.call).await?;
    Ok((call, true))
}

/// The call, when it is known here.
async fn known(app: &App, by: By<'_>, wanted: &Adoption) -> Result<Option<Call>> {
    let (account_id, id) = (wanted.provider_account_id, &wanted.provider_call_id);
    let call = db::calls::find_at_provider(&app.db, by.scope, account_id, id).await?;
    match call {
        Some(call) if !by.actor.may_see(&call) => Err(no_call()),
        call => Ok(call),
    }
}

/// The same for a call that is nobody's, one of another tenant's, and one that may not be seen.
pub fn no_call() -> Error {
    Error::new(ErrorCode::CallNotFound, "There is no such call")
}

/// How far the call has come. One of which the provider tells only that it lives counts as answered,
/// so that its maximum duration holds and it is not ended for ringing too long.
fn status(described: &Description) -> Result<CallStatus> {
    match described.observation.progress {
        Progress::Ended { .. } => Err(Error::new(
            ErrorCode::CallStatusMismatch,
            "The call is over at its provider: there is nothing to adopt",
        )),
        Progress::Answered => Ok(CallStatus::InProgress),
        Progress::Placed | Progress::Ringing if !described.tells_progress => {
            Ok(CallStatus::InProgress)
        }
        Progress::Ringing => Ok(CallStatus::Ringing),
        Progress::Placed => Ok(CallStatus::Initiating),
    }
}

fn parties(wanted: &Adoption, told: Option<&Parties>) -> Result<(Direction, Phone, Phone)> {
    if let Some(told) = told {
        let (from, to) = (Phone::of_caller(&told.from), Phone::of_caller(&told.to));
        return Ok((told.direction, from, to));
    }
    if let (Some(direction), Some(from), Some(to)) = (wanted.direction, &wanted.from, &wanted.to) {
        return Ok((direction, from.clone(), to.clone()));
    }
    let missing = [
        ("/from", wanted.from.is_none()),
        ("/to", wanted.to.is_none()),
        ("/direction", wanted.direction.is_none()),
    ];
    let problems = missing.into_iter().filter(|(_, missing)| *missing);
    let problems = problems.map(|(pointer, _)| FieldProblem {
        pointer: pointer.to_owned(),
        code: "required",
        message: "is needed: this provider does not tell it of a live call".to_owned(),
    });
    Err(Error::validation(problems.collect()))
}

fn draft(
    app: &App,
    by: By<'_>,
    wanted: &Adoption,
    plan: Plan,
    (direction, from, to): (Direction, Phone, Phone),
    described: &Description,
) -> Call {
    let now = app.ambient.now();
    Call {
        organization_id: by.scope.id(),
        id: CallId(app.ambient.entropy.uuid()),
        agent_id: wanted.agent_id,
        provider: plan.account.provider,
        provider_account_id: plan.account.id,
        provider_call_id: Some(described.observation.provider_call_id.clone()),
        provider_host: described.observation.host.clone(),
        version: 1,
        last_sequence: 0,
        status: CallStatus::Initiating,
        direction,
        from,
        to,
        client_reference: None,
        metadata: Metadata::from(&json!({})),
        test: wanted.test,
        limits: plan.rest.settings.limits,
        dial: DialState::Placed,
        dial_started_at: Some(now),
        created_at: now,
        ringing_at: None,
        answered_at: None,
        ended_at: None,
        ended_reason: None,
        ended_side: None,
        provider_cause: None,
        wish: None,
        rate: plan.rest.rate,
        cost: None,
        heard_at: now,
    }
}

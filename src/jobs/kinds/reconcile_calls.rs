//! Asks for the truth again, without input: calls without evidence for long, calls past their
//! limits, calls whose job is missing. Repairs lost callbacks.

use crate::{
    app::{
        Actor,
        actor::By,
        calls::{
            end::{self, EndRequest},
            observe,
        },
        provider_accounts::circuit::{self, Admission},
    },
    db::{self, calls::CallRef},
    domain::{
        CallId, JobId, OrgScope, OrganizationId, Result, Timestamp,
        call::{Call, DialState, EndReason, EndState},
        job::JobKind,
        provider::{Answered, FetchOutcome},
    },
    jobs::{Heard, Jobs, Lane},
    providers::ProviderCall,
};

/// How many calls one round looks at.
pub(in crate::jobs) const MOST_PER_ROUND: i64 = 500;

/// How long an account is not read after it did not answer: a round is for all accounts.
const SILENT_FOR: time::Duration = time::Duration::seconds(10);

/// Looks at one overdue call.
pub(in crate::jobs) async fn run(
    jobs: &Jobs,
    organization_id: OrganizationId,
    call_id: CallId,
) -> Result<()> {
    let scope = OrgScope::assume(organization_id);
    let app = &jobs.app;
    let Some(call) = db::calls::find(&app.db, scope, &CallRef::from(call_id)).await? else {
        return Ok(());
    };
    if !call.is_live() {
        return Ok(());
    }
    let now = app.ambient.now();
    if let Some(reason) = limit_reached(&call, now)
        && call.answered_at.is_some()
    {
        return end_for_limit(jobs, scope, &call, reason).await;
    }
    if let Some(kind) = missing_job(&call) {
        let id = JobId(app.ambient.ordered_uuid());
        if db::jobs::enqueue(&app.db, scope, id, kind, call.id, now).await? {
            tracing::warn!(call.id = %call.id, job = kind.as_str(), "a call had lost its job");
        }
        return Ok(());
    }
    let Some(call) = read(jobs, scope, call).await? else {
        return Ok(());
    };
    // Only now: a call that seems to ring for ever may have been answered and the report be lost.
    match limit_reached(&call, now) {
        Some(reason) => end_for_limit(jobs, scope, &call, reason).await,
        None => Ok(()),
    }
}

/// Why the call must be ended at `now`, if nobody wished for it already.
fn limit_reached(call: &Call, now: Timestamp) -> Option<EndReason> {
    let (reached_at, reason) = call.limit_reached_at()?;
    (call.wish.is_none() && reached_at <= now).then_some(reason)
}

/// The job that a call in this state must have.
fn missing_job(call: &Call) -> Option<JobKind> {
    let ending = call
        .wish
        .as_ref()
        .is_some_and(|wish| wish.state != EndState::Failed);
    match call.dial {
        DialState::Placed if ending => Some(JobKind::HangUpCall),
        DialState::Placed => None,
        DialState::Queued | DialState::InFlight | DialState::Unknown => Some(JobKind::DialCall),
    }
}

async fn end_for_limit(jobs: &Jobs, scope: OrgScope, call: &Call, reason: EndReason) -> Result<()> {
    let actor = Actor::System(reason.as_str());
    let request = EndRequest {
        reason,
        note: None,
        if_status: Vec::new(),
        received_at: jobs.app.ambient.now(),
    };
    let by = By {
        scope,
        actor: &actor,
    };
    end::end(&jobs.app, by, &CallRef::from(call.id), None, &request).await?;
    Ok(())
}

/// Reads the call at its provider and applies what that shows; `None`: it showed nothing.
async fn read(jobs: &Jobs, scope: OrgScope, call: Call) -> Result<Option<Call>> {
    let Some(account) = jobs.account(call.provider_account_id).await? else {
        return Ok(None);
    };
    let provider = jobs.providers.calls(account.kind);
    let Some(at_provider) = ProviderCall::of(&call) else {
        return Ok(None);
    };
    let now = jobs.app.ambient.now();
    circuit::follow_credentials(&jobs.app, scope, account.id).await?;
    let probe = jobs.app.circuits.take_hang_up(account.id, false, now);
    let wait = matches!(probe, Admission::Wait(_));
    if wait || jobs.accounts.is_held(account.id, Lane::Reads, now) {
        return Ok(None);
    }
    let fetched = provider.fetch(&account, at_provider).await;
    jobs.heard(&account, Lane::Reads, heard(&fetched)).await;
    drop(probe);
    match fetched.outcome {
        FetchOutcome::Found(observation) => {
            let call = observe::fetched(&jobs.app, scope, call, &observation).await?;
            Ok(Some(call))
        }
        // Its limits still hold.
        FetchOutcome::Unsupported => Ok(Some(call)),
        // Evidence of nothing: a wrong account, region or proxy looks the same.
        outcome @ (FetchOutcome::NotFound
        | FetchOutcome::Unavailable { .. }
        | FetchOutcome::Refused) => {
            tracing::warn!(
                org.id = %scope.id(), call.id = %call.id, provider = account.kind.as_str(),
                ?outcome, "a live call could not be read at its provider"
            );
            Ok(None)
        }
    }
}

fn heard(fetched: &Answered<FetchOutcome>) -> Heard {
    match fetched.outcome {
        FetchOutcome::Found(_) => Heard::Accepted,
        FetchOutcome::Unavailable { .. } if fetched.answer.status.is_none() => {
            Heard::NotNow(SILENT_FOR)
        }
        FetchOutcome::Unavailable { after } => Heard::wait(after),
        FetchOutcome::Refused => Heard::refusal(&fetched.answer),
        FetchOutcome::NotFound | FetchOutcome::Unsupported => Heard::Nothing,
    }
}

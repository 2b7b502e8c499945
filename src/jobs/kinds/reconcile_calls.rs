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
    },
    db::{self, calls::CallRef},
    domain::{
        CallId, JobId, OrgScope, OrganizationId, Result,
        call::{Call, DialState, EndReason, EndState},
        job::JobKind,
        provider::FetchOutcome,
    },
    jobs::Jobs,
};

/// How many calls one round looks at.
pub(in crate::jobs) const MOST_PER_ROUND: i64 = 500;

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
    if call.wish.is_none()
        && let Some((reached_at, reason)) = call.limit_reached_at()
        && reached_at <= now
    {
        return end_for_limit(jobs, scope, &call, reason).await;
    }
    if let Some(kind) = missing_job(&call) {
        let id = JobId(app.ambient.entropy.uuid());
        if db::jobs::enqueue(&app.db, scope, id, kind, call.id, now).await? {
            tracing::warn!(call.id = %call.id, job = kind.as_str(), "a call had lost its job");
        }
        return Ok(());
    }
    read(jobs, scope, call).await
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

async fn read(jobs: &Jobs, scope: OrgScope, call: Call) -> Result<()> {
    let Some(account) = jobs.account(call.provider_account_id).await? else {
        return Ok(());
    };
    let Some(provider_call_id) = call.provider_call_id.clone() else {
        return Ok(());
    };
    let provider = jobs.providers.calls(account.kind);
    match provider.fetch(&account, &provider_call_id).await.outcome {
        FetchOutcome::Found(observation) => {
            observe::fetched(&jobs.app, scope, call, &observation).await?;
        }
        // Evidence of nothing: a wrong account, region or proxy looks the same.
        outcome @ (FetchOutcome::NotFound
        | FetchOutcome::Unavailable { .. }
        | FetchOutcome::Refused) => {
            tracing::warn!(
                org.id = %scope.id(), call.id = %call.id, provider = account.kind.as_str(),
                ?outcome, "a live call could not be read at its provider"
            );
        }
    }
    Ok(())
}

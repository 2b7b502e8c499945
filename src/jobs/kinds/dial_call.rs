//! Asks the provider to place a call, once. A dial whose answer was lost is looked up and never
//! repeated: no retry and no restart rings a phone twice.

use time::Duration;

use crate::{
    app::calls::record_dial,
    db,
    domain::{
        OrgScope, Result,
        call::{Call, DialState, EndReason},
        job::LeasedJob,
        provider::{Answered, DialOutcome, LookupOutcome},
    },
    jobs::{Jobs, scope_of},
    providers::{Account, DialLookup, DialRequest},
};

/// A dial's record at the provider is at most this much younger than our request.
const RECORDED_WITHIN: Duration = Duration::seconds(15);

/// Runs the job. `fresh`: this node has just written the call and nobody has been asked yet.
pub(in crate::jobs) async fn run(
    jobs: &Jobs,
    job: &LeasedJob,
    call: Call,
    fresh: bool,
) -> Result<()> {
    let scope = scope_of(job);
    if !call.is_live() {
        return db::jobs::finish(&jobs.app.db, scope, job.id, job.lease).await;
    }
    match call.dial {
        DialState::Placed => db::jobs::finish(&jobs.app.db, scope, job.id, job.lease).await,
        DialState::Queued => match record_dial::starts(&jobs.app, scope, call).await? {
            Some(call) => dial(jobs, scope, job, call).await,
            None => db::jobs::finish(&jobs.app.db, scope, job.id, job.lease).await,
        },
        DialState::InFlight if fresh => dial(jobs, scope, job, call).await,
        DialState::InFlight | DialState::Unknown => look_up(jobs, scope, job, call).await,
    }
}

async fn dial(jobs: &Jobs, scope: OrgScope, job: &LeasedJob, call: Call) -> Result<()> {
    let started_at = jobs.app.ambient.now();
    let outcome = match jobs.account(call.provider_account_id).await? {
        None => DialOutcome::Refused {
            reason: EndReason::PlatformError,
        },
        Some(account) => ask(jobs, scope, &account, &call).await?,
    };
    let elapsed = jobs.app.ambient.now().since(started_at).unsigned_abs();
    jobs.metrics
        .provider_request(call.provider.as_str(), "create", name(&outcome), elapsed);
    record_dial::answered(&jobs.app, scope, job, call, &outcome).await
}

async fn ask(jobs: &Jobs, scope: OrgScope, account: &Account, call: &Call) -> Result<DialOutcome> {
    let settings = db::agents::find_settings(&jobs.app.db, scope, call.agent_id).await?;
    let Some(settings) = settings else {
        return Ok(DialOutcome::Refused {
            reason: EndReason::PlatformError,
        });
    };
    let provider = call.provider.as_str();
    let request = DialRequest {
        call_id: call.id,
        from: &call.from,
        to: &call.to,
        answer: &settings.answer,
        limits: call.limits,
        callback_url: format!(
            "{}/callbacks/{provider}/{}/calls/{}",
            jobs.public_url, account.id, call.id
        ),
    };
    let Answered { outcome, answer } = jobs
        .providers
        .calls(account.kind)
        .dial(account, request)
        .await;
    if !matches!(outcome, DialOutcome::Placed(_)) {
        tracing::warn!(
            org.id = %scope.id(), call.id = %call.id, provider, outcome = name(&outcome),
            provider.status = answer.status, provider.code = answer.code,
            "the provider did not place the call"
        );
    }
    Ok(outcome)
}

async fn look_up(jobs: &Jobs, scope: OrgScope, job: &LeasedJob, call: Call) -> Result<()> {
    let since = call.dial_started_at.unwrap_or(call.created_at);
    let outcome = match jobs.account(call.provider_account_id).await? {
        None => LookupOutcome::Unavailable { after: None },
        Some(account) => {
            let known = db::calls::provider_ids(&jobs.app.db, scope, &call, since).await?;
            let lookup = DialLookup {
                call_id: call.id,
                from: &call.from,
                to: &call.to,
                since,
                until: since.plus(RECORDED_WITHIN),
                known: &known,
            };
            jobs.providers
                .calls(account.kind)
                .find_dial(&account, lookup)
                .await
                .outcome
        }
    };
    tracing::info!(org.id = %scope.id(), call.id = %call.id, ?outcome, "looked for a lost dial");
    record_dial::looked_up(&jobs.app, scope, job, call, &outcome).await
}

fn name(outcome: &DialOutcome) -> &'static str {
    match outcome {
        DialOutcome::Placed(_) => "placed",
        DialOutcome::NotSent { .. } => "not_sent",
        DialOutcome::Unknown => "unknown",
        DialOutcome::Refused { .. } => "refused",
    }
}

//! Asks the provider to place a call, once. A dial whose answer was lost is looked up and never
//! repeated: no retry and no restart rings a phone twice.

use std::sync::Arc;

use time::Duration;

use crate::{
    app::calls::record_dial,
    db,
    domain::{
        OrgScope, Result,
        agent::AgentSettings,
        call::{Call, DialState, EndReason},
        job::LeasedJob,
        provider::{Answered, DialOutcome, LookupOutcome, ProviderAnswer},
    },
    jobs::{Heard, Jobs, Lane, callback_url, scope_of, worker::log_failure},
    providers::{Account, DialLookup, DialRequest},
};

/// A dial is sent this soon after it was begun or not at all: later, its lease could run out before
/// the provider's deadline, and another node look for a call that does not exist yet, and give it
/// up.
const SENT_WITHIN: Duration = Duration::seconds(5);

/// A dial that our own trouble kept from being sent is begun anew before this attempt, and looked
/// for as if it had been sent from then on.
const TRIED_AGAIN: i32 = 4;

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
    let outcome = match prepare(jobs, scope, &call).await {
        Ok(Some(_)) if is_late(jobs, &call) => DialOutcome::NotSent { after: None },
        Ok(Some((account, _)))
            if !jobs
                .app
                .circuits
                .take_dial(account.id, jobs.app.ambient.now()) =>
        {
            refused_at_once(&call)
        }
        Ok(Some((account, settings))) => ask(jobs, &account, &settings, &call).await,
        Ok(None) => DialOutcome::Refused {
            reason: EndReason::PlatformError,
        },
        // Nobody was asked, which is worth recording: otherwise the call is looked for in vain.
        Err(error) if job.attempt < TRIED_AGAIN => {
            log_failure::<()>("prepare a dial", Err(error));
            DialOutcome::NotSent { after: None }
        }
        Err(error) => return Err(error),
    };
    record_dial::answered(&jobs.app, scope, job, call, &outcome).await
}

/// What the request is made of; `None`: the account is disconnected or the agent is gone.
async fn prepare(
    jobs: &Jobs,
    scope: OrgScope,
    call: &Call,
) -> Result<Option<(Arc<Account>, AgentSettings)>> {
    let account = jobs.account(call.provider_account_id).await?;
    let settings = db::agents::find_settings(&jobs.app.db, scope, call.agent_id).await?;
    Ok(account.zip(settings))
}

/// Whether the dial has waited too long for its turn.
fn is_late(jobs: &Jobs, call: &Call) -> bool {
    let since = call.dial_started_at.unwrap_or(call.created_at);
    jobs.app.ambient.now().since(since) > SENT_WITHIN
}

async fn ask(jobs: &Jobs, account: &Account, settings: &AgentSettings, call: &Call) -> DialOutcome {
    let started_at = jobs.app.ambient.now();
    let provider = call.provider.as_str();
    let request = DialRequest {
        call_id: call.id,
        from: &call.from,
        to: &call.to,
        answer: &settings.answer,
        limits: call.limits,
        callback_url: callback_url(&jobs.public_url, account, call.id),
    };
    let Answered { outcome, answer } = jobs
        .providers
        .calls(account.kind)
        .dial(account, request)
        .await;
    let elapsed = jobs.app.ambient.now().since(started_at).unsigned_abs();
    jobs.metrics
        .provider_request(provider, "create", name(&outcome), elapsed);
    jobs.heard(account, Lane::Dials, heard(&outcome, &answer))
        .await;
    if !matches!(outcome, DialOutcome::Placed(_)) {
        tracing::warn!(
            org.id = %call.organization_id, call.id = %call.id, provider,
            outcome = name(&outcome), provider.status = answer.status,
            provider.code = answer.code, "the provider did not place the call"
        );
    }
    outcome
}

/// The provider refuses the account's credentials: it would refuse this call too.
fn refused_at_once(call: &Call) -> DialOutcome {
    tracing::warn!(
        org.id = %call.organization_id, call.id = %call.id, provider = call.provider.as_str(),
        account.id = %call.provider_account_id,
        "not dialled: the provider refuses the account's credentials"
    );
    DialOutcome::Refused {
        reason: EndReason::ProviderRejected,
    }
}

fn heard(outcome: &DialOutcome, answer: &ProviderAnswer) -> Heard {
    match outcome {
        DialOutcome::Placed(_) => Heard::Accepted,
        DialOutcome::NotSent { after } => Heard::wait(*after),
        // 403 may be about where to.
        DialOutcome::Refused { .. } if answer.status == Some(401) => Heard::refusal(answer),
        DialOutcome::Refused { .. } | DialOutcome::Unknown => Heard::Nothing,
    }
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

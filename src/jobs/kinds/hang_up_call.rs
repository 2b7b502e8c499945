//! Asks the provider to end a call, and again until there is evidence.

use std::time::Duration;

use crate::{
    app::calls::record_hang_up::{outcome_name, record_hang_up},
    db,
    domain::{
        Result,
        call::{Call, EndState},
        job::LeasedJob,
        provider::{Answered, FetchOutcome, HangUpOutcome, Observation, Progress, ProviderAnswer},
    },
    jobs::{Heard, Jobs, Lane, scope_of},
    providers::{Account, CallControl, ProviderCall},
};

/// How long a read behind the hang-up may take. A read and a hang-up before it may have taken their
/// whole deadlines (4 s each), and the lease is 10 s: what outlasts it is never recorded.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// Runs the job on the call as it was read or written last.
pub(in crate::jobs) async fn run(jobs: &Jobs, job: &LeasedJob, call: Call) -> Result<()> {
    let scope = scope_of(job);
    let wished = call.is_live() && call.wish.is_some();
    let Some(at_provider) = ProviderCall::of(&call).filter(|_| wished) else {
        // Over, or not placed yet: the dial's record starts the hang-up when there is an id.
        return db::jobs::finish(&jobs.app.db, scope, job.id, job.lease).await;
    };
    let started_at = jobs.app.ambient.now();
    let answered = match jobs.account(call.provider_account_id).await? {
        Some(account) => {
            let answered = ask(jobs, &account, &call, at_provider).await;
            jobs.heard(&account, Lane::HangUps, heard(&answered)).await;
            answered
        }
        None => disconnected(),
    };
    let elapsed = jobs.app.ambient.now().since(started_at).unsigned_abs();
    let outcome = outcome_name(&answered.outcome);
    jobs.metrics
        .provider_request(call.provider.as_str(), "hang_up", outcome, elapsed);
    let changed = record_hang_up(&jobs.app, scope, job, call, &answered, started_at).await?;
    // Whoever makes the call terminal counts its end.
    if let Some(call) = changed
        && let Some((latency, state)) = call.end_latency()
    {
        jobs.metrics.end(call.provider.as_str(), state, latency);
    }
    Ok(())
}

/// One round with the provider: at most a read, a hang-up and another read.
async fn ask(
    jobs: &Jobs,
    account: &Account,
    call: &Call,
    at_provider: ProviderCall<'_>,
) -> Answered<HangUpOutcome> {
    let provider = jobs.providers.calls(account.kind);
    let accepted_before = call
        .wish
        .as_ref()
        .is_some_and(|wish| matches!(wish.state, EndState::Accepted | EndState::Unconfirmed));
    if accepted_before {
        let read = provider.fetch(account, at_provider).await;
        if let Some(observation) = ended(&read.outcome) {
            return Answered {
                outcome: HangUpOutcome::Ended(observation),
                answer: read.answer,
            };
        }
    }
    let asked = provider.hang_up(account, at_provider).await;
    match asked.outcome {
        HangUpOutcome::AlreadyOver => {
            // Evidence by itself; the read adds the provider's own times, which the bill follows.
            match ended(&read_soon(provider, account, at_provider).await) {
                Some(observation) => Answered {
                    outcome: HangUpOutcome::Ended(observation),
                    answer: asked.answer,
                },
                None => asked,
            }
        }
        HangUpOutcome::NotFound => {
            let read = read_soon(provider, account, at_provider).await;
            Answered {
                outcome: after_not_found(read),
                answer: asked.answer,
            }
        }
        HangUpOutcome::Ended(_)
        | HangUpOutcome::Accepted
        | HangUpOutcome::Retry { .. }
        | HangUpOutcome::Refused => asked,
    }
}

async fn read_soon(
    provider: &dyn CallControl,
    account: &Account,
    at_provider: ProviderCall<'_>,
) -> FetchOutcome {
    let read = provider.fetch(account, at_provider);
    match tokio::time::timeout(READ_WITHIN, read).await {
        Ok(read) => read.outcome,
        Err(_elapsed) => FetchOutcome::Unavailable { after: None },
    }
}

/// A provider that does not know the call to hang up may still show it when it is read.
fn after_not_found(read: FetchOutcome) -> HangUpOutcome {
    match read {
        FetchOutcome::Found(observation) => match observation.progress {
            Progress::Ended { .. } => HangUpOutcome::Ended(observation),
            Progress::Placed | Progress::Ringing | Progress::Answered => {
                HangUpOutcome::Retry { after: None }
            }
        },
        FetchOutcome::NotFound => HangUpOutcome::NotFound,
        FetchOutcome::Unavailable { after } => HangUpOutcome::Retry { after },
        // What it tells by itself settles it; until then it is asked again.
        FetchOutcome::Unsupported => HangUpOutcome::Retry { after: None },
        FetchOutcome::Refused => HangUpOutcome::Refused,
    }
}

fn ended(read: &FetchOutcome) -> Option<Observation> {
    match read {
        FetchOutcome::Found(observation)
            if matches!(observation.progress, Progress::Ended { .. }) =>
        {
            Some(observation.clone())
        }
        FetchOutcome::Found(_)
        | FetchOutcome::NotFound
        | FetchOutcome::Unavailable { .. }
        | FetchOutcome::Refused
        | FetchOutcome::Unsupported => None,
    }
}

fn heard(answered: &Answered<HangUpOutcome>) -> Heard {
    match answered.outcome {
        HangUpOutcome::Ended(_) | HangUpOutcome::Accepted | HangUpOutcome::AlreadyOver => {
            Heard::Accepted
        }
        HangUpOutcome::Retry { after } => Heard::wait(after),
        HangUpOutcome::Refused => Heard::refusal(&answered.answer),
        HangUpOutcome::NotFound => Heard::Nothing,
    }
}

fn disconnected() -> Answered<HangUpOutcome> {
    Answered {
        outcome: HangUpOutcome::Refused,
        answer: ProviderAnswer {
            message: Some("the provider account is disconnected; connect it again".to_owned()),
            ..ProviderAnswer::default()
        },
    }
}

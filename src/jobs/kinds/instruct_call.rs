//! Tells the provider to answer a call that came in, or what an answered one is to do: for
//! providers that take it as requests. A call that cannot be told is ended, because it would stay
//! open in silence.

use crate::{
    app::{
        Actor,
        actor::By,
        calls::end::{self, EndRequest},
    },
    db::{self, calls::CallRef},
    domain::{
        Result, backoff,
        call::{Call, CallStatus, Direction, EndReason},
        job::{JobKind, LeasedJob},
        provider::{Answered, InstructOutcome},
    },
    jobs::{Heard, Jobs, Lane, callback_url, scope_of},
    providers::{Instruction, ProviderCall, Stage},
};

/// How often the provider is told before the call is given up.
const ATTEMPTS: i32 = 5;

/// Runs the job on the call as it was read or written last.
pub(in crate::jobs) async fn run(jobs: &Jobs, job: &LeasedJob, call: Call) -> Result<()> {
    let scope = scope_of(job);
    let outcome = match (stage(job.kind, &call), ProviderCall::of(&call)) {
        (Some(stage), Some(at_provider)) => ask(jobs, &call, at_provider, stage).await?,
        _ => InstructOutcome::Gone,
    };
    match outcome {
        InstructOutcome::Done | InstructOutcome::Gone => {
            db::jobs::finish(&jobs.app.db, scope, job.id, job.lease).await
        }
        InstructOutcome::Retry { after } if job.attempt < ATTEMPTS => {
            let app = &jobs.app;
            let wait = backoff::after(job.attempt, after, app.ambient.entropy.unit());
            let due_at = app.ambient.now().plus(wait);
            db::jobs::run_again(&app.db, scope, job.id, job.lease, due_at).await
        }
        InstructOutcome::Retry { .. } | InstructOutcome::Refused => {
            give_up(jobs, &call).await?;
            db::jobs::finish(&jobs.app.db, scope, job.id, job.lease).await
        }
    }
}

/// What the job is for, if the call still is.
fn stage(kind: JobKind, call: &Call) -> Option<Stage> {
    if !call.is_live() || call.wish.is_some() {
        return None;
    }
    match (kind, call.status, call.direction) {
        (JobKind::AnswerCall, CallStatus::Ringing, Direction::Inbound) => Some(Stage::Incoming),
        (JobKind::InstructCall, CallStatus::InProgress, _) => Some(Stage::Answered),
        _ => None,
    }
}

async fn ask(
    jobs: &Jobs,
    call: &Call,
    at_provider: ProviderCall<'_>,
    stage: Stage,
) -> Result<InstructOutcome> {
    let scope = crate::domain::OrgScope::assume(call.organization_id);
    let account = jobs.account(call.provider_account_id).await?;
    let settings = db::agents::find_settings(&jobs.app.db, scope, call.agent_id).await?;
    let (Some(account), Some(settings)) = (account, settings) else {
        return Ok(InstructOutcome::Refused);
    };
    let Some(commands) = jobs.providers.commands(account.kind) else {
        return Ok(InstructOutcome::Done);
    };
    let started_at = jobs.app.ambient.now();
    let instruction = Instruction {
        call_id: call.id,
        stage,
        answer: &settings.answer,
        limits: call.limits,
        callback_url: callback_url(&jobs.public_url, &account, call.id),
    };
    let Answered { outcome, answer } = commands.instruct(&account, at_provider, instruction).await;
    let heard = match outcome {
        InstructOutcome::Done => Heard::Accepted,
        InstructOutcome::Retry { after } => Heard::wait(after),
        InstructOutcome::Refused => Heard::refusal(&answer),
        InstructOutcome::Gone => Heard::Nothing,
    };
    jobs.heard(&account, Lane::Instructions, heard).await;
    let elapsed = jobs.app.ambient.now().since(started_at).unsigned_abs();
    let name = match outcome {
        InstructOutcome::Done => "done",
        InstructOutcome::Gone => "gone",
        InstructOutcome::Retry { .. } => "retry",
        InstructOutcome::Refused => "refused",
    };
    jobs.metrics
        .provider_request(account.kind.as_str(), "instruct", name, elapsed);
    if stage == Stage::Incoming && jobs.providers.listens(account.kind).is_some() {
        // That it was answered is told over its websocket.
        jobs.listening.look_soon();
    }
    if !matches!(outcome, InstructOutcome::Done) {
        tracing::warn!(
            org.id = %call.organization_id, call.id = %call.id, ?stage, outcome = name,
            provider.status = answer.status, provider.code = answer.code,
            "the provider did not take what the call is to do"
        );
    }
    Ok(outcome)
}

async fn give_up(jobs: &Jobs, call: &Call) -> Result<()> {
    let actor = Actor::System("instructions");
    let by = By {
        scope: crate::domain::OrgScope::assume(call.organization_id),
        actor: &actor,
    };
    let request = EndRequest {
        reason: EndReason::MediaError,
        note: Some("The provider did not take what the call is to do".to_owned()),
        if_status: Vec::new(),
        received_at: jobs.app.ambient.now(),
    };
    end::end(&jobs.app, by, &CallRef::from(call.id), None, &request).await?;
    Ok(())
}

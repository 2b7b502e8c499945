//! Applies the outcome of a request to hang up, and ends or reschedules its job.

use serde_json::json;
use time::Duration;

use super::{Applied, change};
use crate::{
    app::{Actor, App, provider_accounts::circuit::PROBE_EVERY},
    db::{self, calls::AttemptRow},
    domain::{
        CallId, OrgScope, ProviderAccountId, Result, Timestamp, backoff,
        call::{Call, EndState, Input, Wish},
        job::LeasedJob,
        provider::{Answered, HangUpOutcome},
    },
};

/// When evidence is asked for after the provider accepted.
const ASK_AGAIN_AFTER: Duration = Duration::seconds(30);

/// When a wish is tried again that failed because the account's credentials are refused, and for how
/// long after it was made: no call lasts longer.
const REFUSED_AGAIN_AFTER: Duration = PROBE_EVERY;
const REFUSED_AGAIN_WITHIN: Duration = Duration::hours(24);

/// The longest that a provider may put off a hang-up: somebody is paying for the call meanwhile.
const LONGEST_PATIENCE: Duration = Duration::seconds(10);

/// When a hang-up that stays unconfirmed is asked again.
const UNCONFIRMED_AGAIN_AFTER: Duration = Duration::seconds(60);

/// Records what the provider answered between `started_at` and now. The job is finished or
/// rescheduled by the same statement. `None`: the call was over already, by a report that was
/// faster.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the job runs again when its lease runs out.
pub async fn record_hang_up(
    app: &App,
    scope: OrgScope,
    job: &LeasedJob,
    call: Call,
    answered: &Answered<HangUpOutcome>,
    started_at: Timestamp,
) -> Result<Option<Call>> {
    let now = app.ambient.now();
    let attempt = attempt_row(app, answered, started_at, now);
    let retry_at = now.plus(next_wait(app, job, &call, answered));
    let refused = is_refused(answered);
    let input = Input::HungUp {
        outcome: &answered.outcome,
        retry_at,
    };
    let applied = change(app, scope, call, &input, |change, effects| {
        effects.attempt = Some(attempt.clone());
        let wish = change.call.wish.as_ref();
        match wish.map(|wish| wish.state) {
            // The change drops the call's jobs by itself.
            _ if change.drop_jobs => {}
            Some(EndState::Requested | EndState::Accepted | EndState::Unconfirmed) => {
                effects.run_job_again = Some((job.id, job.lease, retry_at));
            }
            Some(EndState::Failed) if refused && wish.is_some_and(|wish| in_time(wish, now)) => {
                effects.run_job_again = Some((job.id, job.lease, retry_at));
            }
            Some(EndState::Confirmed | EndState::Failed) | None => {
                effects.finish_job = Some((job.id, job.lease));
            }
        }
    })
    .await?;
    match applied {
        Applied::Changed(change) => Ok(Some(change.call)),
        Applied::Unchanged(call, _) => {
            db::hangup_attempts::insert(&app.db, scope, call.id, &attempt).await?;
            db::jobs::finish(&app.db, scope, job.id, job.lease).await?;
            Ok(None)
        }
    }
}

/// A call that lived at its provider and must not.
pub struct Orphan<'a> {
    /// Our record of it; `None`: there is none.
    pub id: Option<CallId>,
    pub provider_account_id: ProviderAccountId,
    pub provider_call_id: &'a str,
}

/// Records a request to hang up a call that is over here, or unknown, and lived all the same.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`; the call is asked to end again while it lives.
pub async fn of_orphan(
    app: &App,
    scope: OrgScope,
    orphan: &Orphan<'_>,
    answered: &Answered<HangUpOutcome>,
    started_at: Timestamp,
) -> Result<()> {
    let attempt = attempt_row(app, answered, started_at, app.ambient.now());
    let detail = json!({
        "provider_account_id": orphan.provider_account_id,
        "provider_call_id": orphan.provider_call_id,
        "outcome": attempt.outcome,
    });
    if let Some(id) = orphan.id {
        db::hangup_attempts::insert(&app.db, scope, id, &attempt).await?;
    }
    let subject = orphan
        .id
        .map_or_else(|| orphan.provider_call_id.to_owned(), |id| id.to_string());
    Actor::System("reconciliation")
        .record(app, scope, "call.end_orphan", &subject, detail)
        .await
}

/// Whether the account's credentials are refused, which may be mended while the call lives.
fn is_refused(answered: &Answered<HangUpOutcome>) -> bool {
    matches!(answered.outcome, HangUpOutcome::Refused) && answered.answer.refuses_credentials()
}

fn in_time(wish: &Wish, now: Timestamp) -> bool {
    now.since(wish.requested_at) < REFUSED_AGAIN_WITHIN
}

fn next_wait(
    app: &App,
    job: &LeasedJob,
    call: &Call,
    answered: &Answered<HangUpOutcome>,
) -> Duration {
    let unconfirmed = call
        .wish
        .as_ref()
        .is_some_and(|wish| wish.state == EndState::Unconfirmed);
    match &answered.outcome {
        _ if is_refused(answered) => REFUSED_AGAIN_AFTER,
        _ if unconfirmed => UNCONFIRMED_AGAIN_AFTER,
        HangUpOutcome::Accepted => ASK_AGAIN_AFTER,
        HangUpOutcome::Retry { after } => {
            let after = after.map(|after| after.min(LONGEST_PATIENCE));
            backoff::after(job.attempt, after, app.ambient.entropy.unit())
        }
        HangUpOutcome::Ended(_)
        | HangUpOutcome::AlreadyOver
        | HangUpOutcome::NotFound
        | HangUpOutcome::Refused => Duration::ZERO,
    }
}

fn attempt_row(
    app: &App,
    answered: &Answered<HangUpOutcome>,
    started_at: Timestamp,
    finished_at: Timestamp,
) -> AttemptRow {
    AttemptRow {
        id: app.ambient.ordered_uuid(),
        started_at,
        finished_at,
        outcome: outcome_name(&answered.outcome),
        provider_status: answered.answer.status.map(i32::from),
        provider_code: answered.answer.code.clone(),
        provider_message: answered.answer.message.clone(),
    }
}

/// The outcome's name in receipts and metrics.
pub fn outcome_name(outcome: &HangUpOutcome) -> &'static str {
    match outcome {
        HangUpOutcome::Ended(_) => "ended",
        HangUpOutcome::Accepted => "accepted",
        HangUpOutcome::AlreadyOver => "already_over",
        HangUpOutcome::NotFound => "not_found",
        HangUpOutcome::Retry { .. } => "retry",
        HangUpOutcome::Refused => "refused",
    }
}

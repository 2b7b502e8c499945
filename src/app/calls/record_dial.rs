//! Applies the outcomes of a dial: that it starts, what the provider answered, what was found when
//! the answer had been lost.

use time::Duration;

use super::{Applied, change};
use crate::{
    app::App,
    db::{self, calls::Effects},
    domain::{
        OrgScope, Result, Timestamp, backoff,
        call::{Call, Change, DialState, Input},
        job::LeasedJob,
        provider::{DialOutcome, LookupOutcome},
    },
};

/// How often a dial with an unknown outcome is looked for.
const LOOK_AGAIN_AFTER: Duration = Duration::seconds(5);

/// Writes that the provider is about to be asked. `None`: it must not be asked (any more).
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the provider must not be asked.
pub async fn starts(app: &App, scope: OrgScope, call: Call) -> Result<Option<Call>> {
    match change(app, scope, call, &Input::DialStarts, |_, _| {}).await? {
        Applied::Changed(change) => Ok(Some(change.call)),
        Applied::Unchanged(..) => Ok(None),
    }
}

/// Records that a dial which was to be sent at once is sent later, as nobody has been asked yet.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the job runs again and finds the dial in flight, which it looks up.
pub async fn put_off(
    app: &App,
    scope: OrgScope,
    job: &LeasedJob,
    call: Call,
    not_before: Timestamp,
) -> Result<()> {
    let input = Input::DialAnswered {
        outcome: &DialOutcome::NotSent { after: None },
        // It was never tried.
        attempt: 0,
    };
    let applied = change(app, scope, call, &input, |change, effects| {
        move_job_on(job, change, effects, not_before);
    })
    .await?;
    finish_if_unchanged(app, scope, job, &applied).await
}

/// Records the provider's answer to the request to dial.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the job runs again and finds the dial in flight, which it looks up.
pub async fn answered(
    app: &App,
    scope: OrgScope,
    job: &LeasedJob,
    call: Call,
    outcome: &DialOutcome,
) -> Result<()> {
    let wait = match outcome {
        DialOutcome::NotSent { after } => {
            backoff::after(job.attempt, *after, app.ambient.entropy.unit())
        }
        DialOutcome::Placed(_) | DialOutcome::Unknown | DialOutcome::Refused { .. } => {
            Duration::seconds(1)
        }
    };
    let again_at = app.ambient.now().plus(wait);
    let input = Input::DialAnswered {
        outcome,
        attempt: job.attempt,
    };
    let applied = change(app, scope, call, &input, |change, effects| {
        move_job_on(job, change, effects, again_at);
    })
    .await?;
    finish_if_unchanged(app, scope, job, &applied).await
}

/// Records what looking for the dial showed.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: the job runs again.
pub async fn looked_up(
    app: &App,
    scope: OrgScope,
    job: &LeasedJob,
    call: Call,
    outcome: &LookupOutcome,
) -> Result<()> {
    let again_at = app.ambient.now().plus(LOOK_AGAIN_AFTER);
    let applied = change(
        app,
        scope,
        call,
        &Input::DialLookedUp(outcome),
        |change, effects| {
            move_job_on(job, change, effects, again_at);
        },
    )
    .await?;
    finish_if_unchanged(app, scope, job, &applied).await
}

fn move_job_on(job: &LeasedJob, change: &Change, effects: &mut Effects, again_at: Timestamp) {
    match change.call.dial {
        _ if change.drop_jobs => {}
        DialState::Placed => effects.finish_job = Some((job.id, job.lease)),
        DialState::Queued | DialState::InFlight | DialState::Unknown => {
            effects.run_job_again = Some((job.id, job.lease, again_at));
        }
    }
}

async fn finish_if_unchanged(
    app: &App,
    scope: OrgScope,
    job: &LeasedJob,
    applied: &Applied,
) -> Result<()> {
    if matches!(applied, Applied::Unchanged(..)) {
        db::jobs::finish(&app.db, scope, job.id, job.lease).await?;
    }
    Ok(())
}

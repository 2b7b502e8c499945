//! What can be done to a call, one file per operation, over one loop: read, decide, apply.

pub mod adopt;
pub mod cancel;
pub mod end;
pub mod ends;
pub mod hear;
pub mod observe;
pub mod receive;
pub mod record_dial;
pub mod record_hang_up;
pub mod start;
pub mod update;
pub mod wait;

use super::App;
use crate::{
    db::{
        self,
        calls::{CallRef, Effects, JobRow},
    },
    domain::{
        Error, JobId, LeaseToken, LedgerEntryId, OrgScope, Result, Timestamp,
        call::{Call, Change, Decision, Input, Unchanged, decide},
        job::LeasedJob,
    },
};

/// How often somebody else may be faster before an operation gives up. Each loss means that another
/// change was made, and a call has only so many.
const MOST_ROUNDS: u32 = 64;

/// What came of an input.
#[derive(Debug)]
pub(crate) enum Applied {
    /// The call afterwards.
    Changed(Box<Change>),
    Unchanged(Box<Call>, Unchanged),
}

impl Applied {
    pub(crate) fn call(self) -> Call {
        match self {
            Self::Changed(change) => change.call,
            Self::Unchanged(call, _) => *call,
        }
    }
}

/// Reads, decides and applies until the change took or there is none to make. `call` is the call as
/// it was read last; `accompany` adds to a change what belongs to it.
async fn change(
    app: &App,
    scope: OrgScope,
    mut call: Call,
    input: &Input<'_>,
    mut accompany: impl FnMut(&Change, &mut Effects) + Send,
) -> Result<Applied> {
    for _ in 0..MOST_ROUNDS {
        let now = app.ambient.now();
        let change = match decide(&call, input, now) {
            Decision::Unchanged(why) => return Ok(Applied::Unchanged(Box::new(call), why)),
            Decision::Change(change) => change,
        };
        let mut effects = Effects::at(now, LedgerEntryId(app.ambient.ordered_uuid()));
        let jobs = lease_jobs(app, scope, &change, now, &mut effects);
        accompany(&change, &mut effects);
        if db::calls::apply(&app.db, scope, &change, &effects).await? {
            announce(app, &change).await;
            app.fast_lane.send(jobs, &change.call);
            return Ok(Applied::Changed(change));
        }
        call = get(app, scope, &CallRef::from(call.id)).await?;
        // Who waits on this node for what another one did learns it here the soonest.
        app.db.wake().changed(&call, false);
    }
    Err(Error::internal(
        "apply a change of a call",
        "lost every round to a faster change",
    ))
}

/// Tells this node of a change that is durable. When an end became durable is noted first: nobody
/// can have been told of it before.
async fn announce(app: &App, change: &Change) {
    if !change.call.is_live() {
        app.ends.record(change.call.id, app.ambient.now()).await;
    }
    let facts = !change.facts.is_empty();
    app.db.wake().changed(&change.call, facts);
}

/// Writes the change's jobs as leased to this node.
fn lease_jobs(
    app: &App,
    scope: OrgScope,
    change: &Change,
    now: Timestamp,
    effects: &mut Effects,
) -> Vec<LeasedJob> {
    let leased: Vec<LeasedJob> = change
        .jobs
        .iter()
        .map(|kind| LeasedJob {
            organization_id: scope.id(),
            id: JobId(app.ambient.ordered_uuid()),
            kind: *kind,
            call_id: change.call.id,
            attempt: 1,
            lease: LeaseToken(app.ambient.entropy.uuid()),
        })
        .collect();
    effects.jobs = leased
        .iter()
        .map(|job| JobRow {
            id: job.id,
            kind: job.kind,
            due_at: now.plus(job.kind.lease()),
            attempt: job.attempt,
            lease: Some(job.lease),
        })
        .collect();
    leased
}

/// The call, which must exist.
async fn get(app: &App, scope: OrgScope, reference: &CallRef) -> Result<Call> {
    db::calls::find(&app.db, scope, reference)
        .await?
        .ok_or_else(|| Error::internal("read a call again", "it is gone"))
}

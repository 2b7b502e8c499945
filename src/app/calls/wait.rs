//! Waits, bounded, for what becomes of a call.

use std::{sync::Arc, time::Duration};

use crate::{
    app::App,
    db::{
        self, CallWatch,
        admission::{self, Urgency},
        calls::CallRef,
    },
    domain::{
        OrgScope,
        call::{Call, EndProgress, end_progress},
    },
};

use super::end::Ending;

/// How often the database is asked while waiting, for changes that another node makes.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Waits at most `bound` until `done` holds; returns the newest call known. Before it is said that
/// nothing came of it, the call is read once more, as urgently as the request is: the looks in between
/// are given up while the database is busy, and what another node changed would be denied.
pub async fn until(
    app: &App,
    scope: OrgScope,
    mut call: Arc<Call>,
    watch: &mut CallWatch,
    bound: Duration,
    done: impl Fn(&Call) -> bool + Send,
) -> Arc<Call> {
    let deadline = tokio::time::Instant::now() + bound;
    let mut look_again =
        tokio::time::interval_at(tokio::time::Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
    while !done(&call) {
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {
                return if bound < LOOK_AGAIN {
                    call
                } else {
                    looked_at(app, scope, call).await
                };
            }
            changed = watch.changed() => {
                if changed.version > call.version {
                    call = changed;
                }
            }
            _ = look_again.tick() => {
                call = admission::with(Urgency::Idle, looked_at(app, scope, call)).await;
            }
        }
    }
    call
}

/// The call as it is now; as it was known, when that can not be read: what was asked for is durable,
/// and a look that fails is no failure.
async fn looked_at(app: &App, scope: OrgScope, call: Arc<Call>) -> Arc<Call> {
    match db::calls::find(&app.db, scope, &CallRef::from(call.id)).await {
        Ok(Some(read)) if read.version > call.version => Arc::new(read),
        Ok(_) | Err(_) => call,
    }
}

/// Waits at most `bound` for an end to come to something.
pub async fn for_end(
    app: &App,
    scope: OrgScope,
    ending: Ending,
    bound: Duration,
    enough: impl Fn(EndProgress) -> bool + Send + Sync,
) -> (Arc<Call>, EndProgress) {
    let Ending {
        call,
        attempts_before,
        mut watch,
        ..
    } = ending;
    let call = until(app, scope, Arc::new(call), &mut watch, bound, |call| {
        enough(end_progress(call, attempts_before))
    })
    .await;
    let progress = end_progress(&call, attempts_before);
    (call, progress)
}

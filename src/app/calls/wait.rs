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

/// Waits at most `bound` until `done` holds; returns the newest call known.
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
            () = tokio::time::sleep_until(deadline) => break,
            changed = watch.changed() => {
                if changed.version > call.version {
                    call = changed;
                }
            }
            _ = look_again.tick() => {
                // What was asked for is durable: a look that fails is no failure.
                let reference = CallRef::from(call.id);
                let looking = db::calls::find(&app.db, scope, &reference);
                if let Ok(Some(read)) = admission::with(Urgency::Idle, looking).await
                    && read.version > call.version
                {
                    call = Arc::new(read);
                }
            }
        }
    }
    call
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

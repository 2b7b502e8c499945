//! The only place that spawns.
//!
//! A task that panics stops the process: a server that lost a loop it needs must not look alive.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Tracks background tasks and tells them when to stop.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    crashed: CancellationToken,
}

impl Tasks {
    /// Runs `work` in the background. Its panic sets [`Tasks::crashed`].
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let alarm = Alarm(self.crashed.clone());
        #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
        tokio::spawn(self.tracker.track_future(async move {
            let alarm = alarm;
            let output = work.await;
            drop(alarm);
            output
        }))
    }

    /// Runs what keeps a processor busy on a thread of its own; whoever asks bounds how many there
    /// are. Once begun it goes on, whatever becomes of the handle.
    pub fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.tracker.spawn_blocking(work)
    }

    /// Completes once [`Tasks::stop`] was called.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Waits for as long as `pause`, or until [`Tasks::stop`] was called: true then.
    pub async fn stopped_within(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.stopping()).await.is_ok()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Completes when a task has panicked.
    pub async fn crashed(&self) {
        self.crashed.cancelled().await;
    }

    /// Asks every task to stop. Idempotent.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Waits until every task has ended; call [`Tasks::stop`] first.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

struct Alarm(CancellationToken);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.cancel();
        }
    }
}

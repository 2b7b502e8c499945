//! The loops that keep a worker busy until the process stops.

use std::{future::Future, time::Duration};

use tokio::sync::mpsc::Receiver;

use super::worker::{Worker, log_failure};
use crate::{app::FastLaneJob, domain::Result};

const BUSY_PAUSE: Duration = Duration::from_millis(250);
const IDLE_PAUSE: Duration = Duration::from_secs(1);
const RECONCILE_EVERY: Duration = Duration::from_secs(15);
/// How long an account that is due waits at most.
const HUNT_PAUSE: Duration = Duration::from_secs(5);
const CLOCK_EVERY: Duration = Duration::from_secs(30);

impl Worker {
    /// Starts every loop; they end when the tasks are told to stop.
    pub fn start(&self, fast_lane: Receiver<FastLaneJob>) {
        let tasks = self.jobs.app.ambient.tasks.clone();
        self.start_fast_lane(fast_lane);
        let worker = self.clone();
        drop(tasks.spawn(async move { worker.recovery().await }));
        let worker = self.clone();
        drop(tasks.spawn(async move { worker.deliveries().await }));
        let worker = self.clone();
        drop(tasks.spawn(async move {
            worker
                .every("reconcile calls", RECONCILE_EVERY, || worker.reconcile())
                .await;
        }));
        let worker = self.clone();
        drop(tasks.spawn(async move { worker.hunts().await }));
        let worker = self.clone();
        drop(tasks.spawn(async move {
            worker
                .every("follow the clock", CLOCK_EVERY, || worker.follow_clock())
                .await;
        }));
    }

    /// Starts the fast lane alone: tests ask for the rounds of the other loops one by one.
    pub fn start_fast_lane(&self, fast_lane: Receiver<FastLaneJob>) {
        let worker = self.clone();
        let tasks = &self.jobs.app.ambient.tasks;
        drop(tasks.spawn(async move { worker.fast_lane(fast_lane).await }));
    }

    async fn fast_lane(&self, mut jobs: Receiver<FastLaneJob>) {
        let tasks = &self.jobs.app.ambient.tasks;
        loop {
            tokio::select! {
                biased;
                () = tasks.stopping() => break,
                job = jobs.recv() => {
                    let Some(job) = job else { return };
                    let worker = self.clone();
                    drop(tasks.spawn(async move { worker.run_fresh(job).await }));
                }
            }
        }
        jobs.close();
        while let Some(job) = jobs.recv().await {
            self.release(&job.job).await;
        }
    }

    async fn recovery(&self) {
        loop {
            let round = self.start_due().await;
            let pause = if matches!(round, Ok(0)) {
                IDLE_PAUSE
            } else {
                BUSY_PAUSE
            };
            log_failure("run due jobs", round);
            if self.paused(pause).await {
                return;
            }
        }
    }

    async fn hunts(&self) {
        loop {
            let round = self.start_hunts().await;
            let pause = if matches!(round, Ok(0) | Err(_)) {
                HUNT_PAUSE
            } else {
                BUSY_PAUSE
            };
            log_failure("compare live calls", round);
            if self.paused(pause).await {
                return;
            }
        }
    }

    async fn deliveries(&self) {
        let mut idle = true;
        loop {
            let wake = self.jobs.app.db.wake();
            if idle {
                tokio::select! {
                    stopped = self.paused(IDLE_PAUSE) => if stopped { return },
                    () = wake.deliveries() => {}
                }
            }
            let round = self.start_deliveries().await;
            idle = !matches!(round, Ok(1..));
            log_failure("deliver due webhooks", round);
            if self.jobs.app.ambient.tasks.is_stopping() {
                return;
            }
        }
    }

    async fn every<F>(&self, what: &str, pause: Duration, round: impl Fn() -> F + Send)
    where
        F: Future<Output: ResultLike> + Send,
    {
        loop {
            round().await.log(what);
            if self.paused(pause).await {
                return;
            }
        }
    }

    /// Waits about as long as `pause`, spread so that nodes do not march in step. True: stop.
    async fn paused(&self, pause: Duration) -> bool {
        let ambient = &self.jobs.app.ambient;
        let spread = pause.mul_f64(0.8 + 0.4 * ambient.entropy.unit());
        tokio::time::timeout(spread, ambient.tasks.stopping())
            .await
            .is_ok()
    }
}

/// A round's result, whatever it counts.
trait ResultLike: Send {
    fn log(self, what: &str);
}

impl<T: Send> ResultLike for Result<T> {
    fn log(self, what: &str) {
        log_failure(what, self);
    }
}

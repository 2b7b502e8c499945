//! The loops that keep a worker busy until the process stops.

use std::{future::Future, time::Duration};

use tokio::sync::mpsc::Receiver;

use super::{
    accounts::Lane,
    worker::{Worker, log_failure},
};
use crate::{app::FastLaneJob, domain::Result};

const BUSY_PAUSE: Duration = Duration::from_millis(250);
const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// How long a claim of deliveries lets others become due with the first.
const GATHER: Duration = Duration::from_millis(5);
/// Jobs of the fast lane that are put in order with each other.
const TAKEN_AT_ONCE: usize = 256;
const RECONCILE_EVERY: Duration = Duration::from_secs(15);
/// How long an account that is due waits at most.
const HUNT_PAUSE: Duration = Duration::from_secs(5);
const MAILS_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_mins(1);
/// How long an audit entry may be without its seal.
const SEAL_EVERY: Duration = Duration::from_secs(5);
const USES_EVERY: Duration = Duration::from_secs(5);
const CLOCK_EVERY: Duration = Duration::from_secs(30);
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);

/// Which loops run by themselves. The fast lane always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loops {
    /// Whatever a node is for.
    All,
    /// What carries out intentions and hears what is told; nothing looks for what nobody asked or
    /// told. For tests of intentions and reports: on a slow machine a look would be the faster.
    Intentions,
    /// None. Tests ask the worker for single rounds instead.
    None,
}

impl Worker {
    /// Starts the loops, those of deliveries only if this node is to `deliver`; they end when the
    /// tasks are told to stop.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`: nobody told the time.
    pub async fn start(
        &self,
        loops: Loops,
        fast_lane: Receiver<FastLaneJob>,
        deliver: bool,
    ) -> Result<()> {
        if loops != Loops::None {
            self.follow_clock().await?;
            self.start_intentions(deliver);
        }
        if loops == Loops::All {
            self.start_looks();
        }
        self.start_fast_lane(fast_lane);
        Ok(())
    }

    fn start_intentions(&self, deliver: bool) {
        let tasks = &self.jobs.app.ambient.tasks;
        let worker = self.clone();
        drop(tasks.spawn(async move { worker.recovery().await }));
        if deliver {
            let worker = self.clone();
            drop(tasks.spawn(async move { worker.look_for_deliveries().await }));
            let worker = self.clone();
            drop(tasks.spawn(async move { worker.deliveries().await }));
            let worker = self.clone();
            drop(tasks.spawn(async move { worker.keep_gateways().await }));
            let worker = self.clone();
            drop(tasks.spawn(async move { worker.keep_removing().await }));
            let worker = self.clone();
            drop(tasks.spawn(async move {
                let what = "keep the partitions of delivery attempts";
                worker
                    .every(what, PARTITIONS_EVERY, || worker.keep_attempts())
                    .await;
            }));
        }
        let worker = self.clone();
        drop(tasks.spawn(async move { worker.keep_listening().await }));
        let worker = self.clone();
        drop(tasks.spawn(async move {
            worker
                .every("follow the clock", CLOCK_EVERY, || worker.follow_clock())
                .await;
        }));
    }

    fn start_looks(&self) {
        let tasks = &self.jobs.app.ambient.tasks;
        let worker = self.clone();
        drop(tasks.spawn(async move {
            worker
                .every("reconcile calls", RECONCILE_EVERY, || worker.reconcile())
                .await;
        }));
        let worker = self.clone();
        drop(tasks.spawn(async move { worker.hunts().await }));
        self.start_for_people();
        let worker = self.clone();
        drop(tasks.spawn(async move {
            let what = "note what was used";
            worker
                .every(what, USES_EVERY, || worker.record_uses())
                .await;
            // What was noted since.
            log_failure(what, worker.record_uses().await);
        }));
        let worker = self.clone();
        drop(tasks.spawn(async move {
            worker
                .every("seal the audit log", SEAL_EVERY, || worker.seal_audit())
                .await;
        }));
    }

    fn start_for_people(&self) {
        let tasks = &self.jobs.app.ambient.tasks;
        let worker = self.clone();
        drop(tasks.spawn(async move {
            worker
                .every("send mails", MAILS_EVERY, || worker.send_mails())
                .await;
        }));
        let worker = self.clone();
        drop(tasks.spawn(async move {
            let round = || worker.forget_what_is_over();
            worker
                .every("forget what is over", FORGET_EVERY, round)
                .await;
        }));
    }

    fn start_fast_lane(&self, fast_lane: Receiver<FastLaneJob>) {
        let worker = self.clone();
        let tasks = &self.jobs.app.ambient.tasks;
        drop(tasks.spawn(async move { worker.fast_lane(fast_lane).await }));
    }

    async fn fast_lane(&self, mut jobs: Receiver<FastLaneJob>) {
        let tasks = &self.jobs.app.ambient.tasks;
        let mut taken = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = tasks.stopping() => break,
                count = jobs.recv_many(&mut taken, TAKEN_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                }
            }
            // Of what has piled up, hang-ups first and dials last.
            taken.sort_by_key(|fresh| Lane::of(fresh.job.kind));
            for job in taken.drain(..) {
                let worker = self.clone();
                drop(tasks.spawn(async move { worker.run_fresh(job).await }));
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

    /// Names the organisations whose deliveries are due: retries, changes that other nodes made,
    /// leases of dead nodes.
    async fn look_for_deliveries(&self) {
        loop {
            let found = self.name_due_deliveries().await;
            let pause = if matches!(found, Ok(0)) {
                IDLE_PAUSE
            } else {
                BUSY_PAUSE
            };
            log_failure("look for due deliveries", found);
            if self.paused(pause).await {
                return;
            }
        }
    }

    /// Starts what is due in the organisations that are named, each once before any a second time.
    async fn deliveries(&self) {
        let (wake, tasks) = (self.jobs.app.db.wake(), &self.jobs.app.ambient.tasks);
        loop {
            tokio::select! {
                biased;
                () = tasks.stopping() => return,
                () = wake.deliveries() => {}
            }
            if tasks.stopped_within(GATHER).await {
                return;
            }
            for organization_id in wake.take_deliveries() {
                // Another node finds what is left; what is claimed here would have to be waited for.
                if tasks.is_stopping() {
                    return;
                }
                let started = self.start_deliveries(organization_id).await;
                log_failure("deliver due webhooks", started);
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
    pub(super) async fn paused(&self, pause: Duration) -> bool {
        let ambient = &self.jobs.app.ambient;
        let spread = pause.mul_f64(0.8 + 0.4 * ambient.entropy.unit());
        ambient.tasks.stopped_within(spread).await
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

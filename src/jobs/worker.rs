//! Takes jobs and deliveries and runs them. One round at a time can be asked for by hand: that is
//! how tests run everything that is due without waiting for a clock.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{Jobs, accounts::Lane, attempts::Attempts, deliveries::BusyEndpoints, kinds, scope_of};
use crate::{
    app::{
        FastLaneJob, callers,
        calls::{observe, record_dial},
        provider_accounts::{
            circuit::{self, Admission},
            heard,
        },
    },
    db::{self, calls::CallRef, jobs::Claim},
    domain::{
        LeaseToken, OrgScope, OrganizationId, ProviderAccountId, Result, Timestamp,
        call::{Call, DialState},
        job::{JobKind, LeasedJob},
    },
};

/// Organisations looked at in one round: with a bounded number of jobs taken from one of them, one
/// tenant's queue never keeps the others waiting.
pub(super) const ORGANIZATIONS_PER_ROUND: i64 = 64;

/// How long a job that this node has just written waits for a place: with this and what the provider
/// may take (5 s for a first hang-up, 10 s for a dial) it stays within its lease.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a job with a place at its account waits for one of the node's.
const PATIENCE_OF_NODE: Duration = Duration::from_millis(500);

/// Answered keys are kept for two days, more than the promised 24 hours; those without an answer
/// for 45 s, when their operation is dead.
const KEYS_KEPT: time::Duration = time::Duration::days(2);
const KEYS_DEAD_AFTER: time::Duration = time::Duration::seconds(45);

/// How long a report waits for its call to become known.
const PARKED_KEPT: time::Duration = time::Duration::days(1);

/// How long the lease of a websocket that nobody wants any more is kept after it ran out.
const LISTENERS_KEPT: time::Duration = time::Duration::minutes(5);

/// Runs jobs. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    pub(super) jobs: Jobs,
    pub(super) endpoints: Arc<BusyEndpoints>,
    pub(super) attempts: Arc<Attempts>,
}

impl Worker {
    pub fn new(jobs: Jobs) -> Self {
        Self {
            jobs,
            endpoints: Arc::default(),
            attempts: Arc::default(),
        }
    }

    /// Runs a job that this node has just written.
    pub async fn run_fresh(&self, fresh: FastLaneJob) {
        let FastLaneJob { job, call } = fresh;
        self.run(job, Some(*call)).await;
    }

    /// Gives back what was handed over and not begun, for another node to take at once.
    pub async fn release(&self, job: &LeasedJob) {
        let now = self.jobs.app.ambient.now();
        let (id, lease) = (job.id, job.lease);
        let done = db::jobs::run_again(&self.jobs.app.db, scope_of(job), id, lease, now).await;
        log_failure("release a job", done);
    }

    /// Takes and runs every job that is due now, a bounded number per organisation, and waits until
    /// they are done. Returns how many.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn run_due(&self) -> Result<usize> {
        let mut running = JoinSet::new();
        for job in self.claim_jobs().await? {
            let worker = self.clone();
            running.spawn(async move { worker.run(job, None).await });
        }
        Ok(finished(running).await)
    }

    /// As [`Worker::run_due`], without waiting: a provider that hangs keeps nobody else waiting.
    pub(super) async fn start_due(&self) -> Result<usize> {
        let jobs = self.claim_jobs().await?;
        let count = jobs.len();
        for job in jobs {
            let worker = self.clone();
            let tasks = &self.jobs.app.ambient.tasks;
            drop(tasks.spawn(async move { worker.run(job, None).await }));
        }
        Ok(count)
    }

    /// Hang-ups first, dials last: none fills another's places or hides it in the queue. Nothing is
    /// taken while there is no room to run it: a lease must not run out waiting.
    async fn claim_jobs(&self) -> Result<Vec<LeasedJob>> {
        let mut claimed = Vec::new();
        for kind in [
            JobKind::HangUpCall,
            JobKind::AnswerCall,
            JobKind::InstructCall,
            JobKind::DialCall,
        ] {
            claimed.extend(self.claim_jobs_of(kind).await?);
        }
        Ok(claimed)
    }

    async fn claim_jobs_of(&self, kind: JobKind) -> Result<Vec<LeasedJob>> {
        let (db, ambient) = (&self.jobs.app.db, &self.jobs.app.ambient);
        let now = ambient.now();
        let lane = Lane::of(kind);
        let busy = self.jobs.accounts.full(lane, now);
        let most = ORGANIZATIONS_PER_ROUND;
        let mut claimed = Vec::new();
        for organization_id in db::jobs::organizations_with_due(db, kind, now, &busy, most).await? {
            let room = self.places(kind).available_permits();
            let room = room.saturating_sub(claimed.len());
            if room == 0 {
                break;
            }
            let claim = Claim {
                kind,
                now,
                lease: LeaseToken(ambient.entropy.uuid()),
                until: now.plus(kind.lease()),
                most: i64::try_from(lane.per_claim().min(room)).unwrap_or(i64::MAX),
            };
            let scope = OrgScope::assume(organization_id);
            claimed.extend(db::jobs::claim(db, scope, claim, &busy).await?);
        }
        Ok(claimed)
    }

    fn places(&self, kind: JobKind) -> &Semaphore {
        match kind {
            JobKind::HangUpCall => &self.jobs.hang_ups,
            JobKind::AnswerCall | JobKind::InstructCall => &self.jobs.instructions,
            JobKind::DialCall => &self.jobs.dials,
        }
    }

    /// Looks at every call whose truth must be asked again, and forgets old idempotency keys.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn reconcile(&self) -> Result<usize> {
        let (db, now) = (&self.jobs.app.db, self.jobs.app.ambient.now());
        let quiet =
            time::Duration::try_from(self.jobs.bounds.quiet_after).unwrap_or(time::Duration::MAX);
        db::idempotency::purge(db, now.plus(-KEYS_KEPT), now.plus(-KEYS_DEAD_AFTER)).await?;
        db::listeners::purge(db, now.plus(-LISTENERS_KEPT)).await?;
        let most = kinds::reconcile_calls::MOST_PER_ROUND;
        self.apply_parked(now, most).await?;
        let overdue = db::calls::overdue(db, now.plus(-quiet), now, most).await?;
        let count = overdue.len();
        let queue = Arc::new(std::sync::Mutex::new(overdue));
        let mut running = JoinSet::new();
        for _ in 0..8 {
            let (worker, queue) = (self.clone(), Arc::clone(&queue));
            running.spawn(async move { worker.reconcile_from(&queue).await });
        }
        finished(running).await;
        Ok(count)
    }

    /// Applies the reports whose calls became known after them.
    async fn apply_parked(&self, now: Timestamp, most: i64) -> Result<()> {
        let app = &self.jobs.app;
        let forget = now.plus(-PARKED_KEPT);
        for (organization_id, call_id) in
            db::callback_receipts::calls_with_parked(&app.db, forget, most).await?
        {
            let scope = OrgScope::assume(organization_id);
            let reference = CallRef::from(call_id);
            if let Some(call) = db::calls::find(&app.db, scope, &reference).await? {
                observe::apply_parked(app, scope, call).await?;
            }
        }
        Ok(())
    }

    async fn reconcile_from(
        &self,
        queue: &std::sync::Mutex<Vec<(OrganizationId, crate::domain::CallId)>>,
    ) {
        loop {
            let next = queue.lock().ok().and_then(|mut queue| queue.pop());
            let Some((organization_id, call_id)) = next else {
                return;
            };
            let done = kinds::reconcile_calls::run(&self.jobs, organization_id, call_id).await;
            log_failure("reconcile a call", done);
        }
    }

    /// Runs one job under the bounds of its kind; a failure leaves it to its lease.
    async fn run(&self, job: LeasedJob, call: Option<Call>) {
        let deadline = Duration::from_secs(job.kind.lease().whole_seconds().unsigned_abs());
        let done = tokio::time::timeout(deadline, self.run_in_its_place(&job, call)).await;
        match done {
            Ok(done) => log_failure(job.kind.as_str(), done),
            Err(_elapsed) => {
                tracing::error!(
                    call.id = %job.call_id, job = job.kind.as_str(),
                    "a job did not end within its lease; it runs again"
                );
            }
        }
    }

    /// Runs a job once it has its places, at its account and on this node, or gives it back.
    async fn run_in_its_place(&self, job: &LeasedJob, call: Option<Call>) -> Result<()> {
        let fresh = call.is_some();
        let call = if call.is_some() {
            call
        } else {
            let reference = CallRef::from(job.call_id);
            db::calls::find(&self.jobs.app.db, scope_of(job), &reference).await?
        };
        let Some(call) = call else { return Ok(()) };
        let account = call.provider_account_id;
        let lane = Lane::of(job.kind);
        let patience = if fresh { PATIENCE } else { Duration::ZERO };
        let now = || self.jobs.app.ambient.now();
        let place = match self.jobs.accounts.take(account, lane, patience, now).await {
            Ok(place) => place,
            Err(not_before) => return self.put_off(job, call, fresh, not_before).await,
        };
        let permit = tokio::time::timeout(PATIENCE_OF_NODE, self.places(job.kind).acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            let not_before = now().plus(time::Duration::seconds(1));
            return self.put_off(job, call, fresh, not_before).await;
        };
        let probe = match self.admit(job, account, fresh).await? {
            Admission::Free => None,
            Admission::Probe(probe) => Some(probe),
            Admission::Wait(not_before) => {
                return self.put_off(job, call, fresh, not_before).await;
            }
        };
        let done = self.carry_out(job, call, fresh).await;
        drop((probe, place));
        done
    }

    /// What the account's circuit says to a hang-up. A dial is asked about when it is sent; what
    /// tells live calls what to do is not kept back.
    async fn admit(
        &self,
        job: &LeasedJob,
        account: ProviderAccountId,
        fresh: bool,
    ) -> Result<Admission> {
        let app = &self.jobs.app;
        circuit::follow_credentials(app, scope_of(job), account).await?;
        Ok(match job.kind {
            JobKind::HangUpCall => app.circuits.take_hang_up(account, fresh, app.ambient.now()),
            JobKind::DialCall | JobKind::AnswerCall | JobKind::InstructCall => Admission::Free,
        })
    }

    /// Gives a job back that nobody has begun. A call that was to be dialled at once is dialled
    /// later, which must be known of it: whoever found it in flight would only look for it.
    async fn put_off(
        &self,
        job: &LeasedJob,
        call: Call,
        fresh: bool,
        not_before: Timestamp,
    ) -> Result<()> {
        let app = &self.jobs.app;
        if fresh && job.kind == JobKind::DialCall && call.dial == DialState::InFlight {
            return record_dial::put_off(app, scope_of(job), job, call, not_before).await;
        }
        db::jobs::give_back(&app.db, scope_of(job), job.id, job.lease, not_before).await
    }

    async fn carry_out(&self, job: &LeasedJob, call: Call, fresh: bool) -> Result<()> {
        match job.kind {
            JobKind::HangUpCall => kinds::hang_up_call::run(&self.jobs, job, call).await,
            JobKind::AnswerCall | JobKind::InstructCall => {
                kinds::instruct_call::run(&self.jobs, job, call).await
            }
            JobKind::DialCall => kinds::dial_call::run(&self.jobs, job, call, fresh).await,
        }
    }

    /// Writes when tokens were last used and when providers last reported; how many were.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn record_uses(&self) -> Result<usize> {
        let app = &self.jobs.app;
        Ok(callers::record_uses(app).await? + heard::record(app).await?)
    }

    /// Tells the clock how far the database's clock is ahead.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn follow_clock(&self) -> Result<()> {
        let clock = &self.jobs.app.ambient.clock;
        let before = clock.now();
        let there = db::now(&self.jobs.app.db).await?;
        clock.adjust_millis(ahead_millis(before, there, clock.now()));
        Ok(())
    }
}

/// How far `there` is ahead of the middle between `before` and `after`; nothing when the difference
/// is within the uncertainty of the question.
fn ahead_millis(before: Timestamp, there: Timestamp, after: Timestamp) -> i64 {
    let middle = i64::midpoint(before.unix_millis(), after.unix_millis());
    let offset = there.unix_millis() - middle;
    let uncertainty = after.unix_millis() - before.unix_millis() + 2;
    if offset.abs() <= uncertainty {
        0
    } else {
        offset
    }
}

pub(super) async fn finished(mut running: JoinSet<()>) -> usize {
    let mut count = 0;
    while let Some(ended) = running.join_next().await {
        count += 1;
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    count
}

pub(super) fn log_failure<T>(what: &str, done: Result<T>) {
    if let Err(error) = done {
        tracing::error!(what, error.code = error.code.as_str(), causes = %error.causes(), "failed; it is tried again");
    }
}

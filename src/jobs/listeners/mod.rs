//! Holds the websockets to providers that tell over them what others tell by callbacks.
//!
//! A provider is listened to about an account, or about each live call
//! ([`crate::providers::Listens`]). Every second the node looks which websockets ought to be held
//! and are held by nobody, takes the leases of as many as it has room for, opens them and keeps them
//! open: a websocket that breaks is opened again after a growing wait, and since nobody knows what
//! was missed meanwhile, the calls that it is about are read again. What is told is applied as a
//! callback is (`app/calls/hear.rs`).
//!
//! The invariant: whoever holds a websocket holds its lease, renewed every few seconds. A node that
//! dies loses it within [`LEASE`], and another goes on; for the moment in which two hold one, what
//! both are told is told once, by its receipt key.

mod feed;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::worker::{Worker, log_failure};
use crate::{
    db::{self, listeners::Subject},
    domain::{LeaseToken, Result, Timestamp, backoff},
    providers,
};
use feed::{Next, Past};

/// How long a node that stopped renewing keeps a websocket from the others.
const LEASE: time::Duration = time::Duration::seconds(20);
const RENEW_EVERY: time::Duration = time::Duration::seconds(5);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Websockets that a node holds at most, in all and about one account, and that it takes at once.
const MOST: usize = 4096;
const MOST_PER_ACCOUNT: usize = 1024;
const MOST_AT_ONCE: usize = 256;

/// A websocket that stood for so long was no failure: the next wait is a short one again.
const STOOD: time::Duration = time::Duration::seconds(30);

/// A provider that has no such call is asked again after at most the wait that follows so many
/// failures (1 s): it may be about to have it.
const FAILURES_OF_NO_CALL: i32 = 3;

/// The websockets that this node holds.
#[derive(Default)]
pub(super) struct Listening {
    held: Mutex<HashMap<Subject, Hold>>,
    renewed_at: Mutex<Option<Timestamp>>,
    soon: Notify,
}

struct Hold {
    lease: LeaseToken,
    let_go: CancellationToken,
}

impl Listening {
    /// A websocket may be wanted that was not a moment ago.
    pub(super) fn look_soon(&self) {
        self.soon.notify_one();
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Subject, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room_for(&self, subject: Subject) -> bool {
        let held = self.held();
        let of_account =
            |other: &&Subject| other.provider_account_id == subject.provider_account_id;
        held.len() < MOST
            && !held.contains_key(&subject)
            && (subject.call_id.is_none()
                || held.keys().filter(of_account).count() < MOST_PER_ACCOUNT)
    }

    /// Whether the leases are to be renewed at `now`; they count as renewed then.
    fn is_due(&self, now: Timestamp) -> bool {
        let mut renewed_at = self
            .renewed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = renewed_at.is_none_or(|at| now.since(at) >= RENEW_EVERY);
        if due {
            *renewed_at = Some(now);
        }
        due
    }
}

impl Worker {
    /// Looks every second, and at once when a call was answered here, until the tasks stop.
    pub(super) async fn keep_listening(&self) {
        loop {
            log_failure("hold the websockets to providers", self.listen().await);
            tokio::select! {
                stopped = self.paused(LOOK_EVERY) => if stopped { return },
                () = self.jobs.listening.soon.notified() => {}
            }
        }
    }

    /// Renews what is held, takes what nobody holds, and goes on with it in the background. Returns
    /// how many were taken.
    ///
    /// # Errors
    /// `DATABASE_UNAVAILABLE`.
    pub async fn listen(&self) -> Result<usize> {
        let (db, ambient) = (&self.jobs.app.db, &self.jobs.app.ambient);
        let listening = &self.jobs.listening;
        let by_account = self.jobs.providers.listened_to(providers::Subject::Account);
        let by_call = self.jobs.providers.listened_to(providers::Subject::Call);
        if by_account.is_empty() && by_call.is_empty() {
            return Ok(0);
        }
        let now = ambient.now();
        if listening.is_due(now) {
            self.renew(now).await?;
        }
        let room = MOST
            .saturating_sub(listening.held().len())
            .min(MOST_AT_ONCE);
        let most = i64::try_from(room).unwrap_or(i64::MAX);
        let mut taken = 0;
        for subject in db::listeners::missing(db, &by_account, &by_call, now, most).await? {
            if ambient.tasks.is_stopping() || !listening.has_room_for(subject) {
                continue;
            }
            let lease = LeaseToken(ambient.entropy.uuid());
            let now = ambient.now();
            if !db::listeners::take(db, subject, lease, now, now.plus(LEASE)).await? {
                continue;
            }
            let let_go = CancellationToken::new();
            let hold = Hold {
                lease,
                let_go: let_go.clone(),
            };
            listening.held().insert(subject, hold);
            taken += 1;
            let worker = self.clone();
            drop(
                ambient
                    .tasks
                    .spawn(async move { worker.hold(subject, lease, let_go).await }),
            );
        }
        Ok(taken)
    }

    /// Renews the leases of all that is held, and lets go of what was lost or is needed no more.
    async fn renew(&self, now: Timestamp) -> Result<()> {
        let listening = &self.jobs.listening;
        let held: Vec<_> = listening
            .held()
            .iter()
            .map(|(subject, hold)| (*subject, hold.lease))
            .collect();
        if held.is_empty() {
            return Ok(());
        }
        let renewed = db::listeners::renew(&self.jobs.app.db, &held, now.plus(LEASE)).await?;
        for (subject, hold) in listening.held().iter() {
            if !renewed.contains(subject) {
                hold.let_go.cancel();
            }
        }
        Ok(())
    }

    /// Holds one websocket until nobody needs it, the lease is lost, or the tasks stop.
    async fn hold(&self, subject: Subject, lease: LeaseToken, let_go: CancellationToken) {
        let app = &self.jobs.app;
        let mut past = Past::default();
        tokio::select! {
            biased;
            () = app.ambient.tasks.stopping() => {}
            () = let_go.cancelled() => {}
            () = self.keep_open(subject, &mut past) => {}
        }
        past.forget();
        // In this order: what was released may be taken again by this node.
        self.jobs.listening.held().remove(&subject);
        let released = db::listeners::release(&app.db, subject, lease).await;
        log_failure("release a websocket", released);
    }

    async fn keep_open(&self, subject: Subject, past: &mut Past) {
        let ambient = &self.jobs.app.ambient;
        let (mut failures, mut refusals) = (0_i32, 0_u32);
        loop {
            let began = ambient.now();
            let next = self.open(subject, past).await;
            let stood = ambient.now().since(began) >= STOOD;
            failures = if stood { 1 } else { failures.saturating_add(1) };
            let mut asked = None;
            match next {
                Ok(Next::Done) => return,
                Ok(Next::Again(after)) => {
                    refusals = 0;
                    asked = after;
                }
                Ok(Next::NoSuchCall(call)) => {
                    refusals += 1;
                    let done = self.without_call(&call, refusals).await;
                    if matches!(done, Ok(true)) {
                        return;
                    }
                    log_failure("end a call that its provider does not have", done);
                    failures = failures.min(FAILURES_OF_NO_CALL);
                }
                Err(error) => log_failure::<()>("listen to a provider", Err(error)),
            }
            let wait = backoff::after(failures, asked, ambient.entropy.unit());
            tokio::time::sleep(wait.unsigned_abs()).await;
        }
    }
}

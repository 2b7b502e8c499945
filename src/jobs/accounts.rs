//! Places at providers' accounts: how many requests of one account are under way on this node, hang-ups,
//! dials and instructions apart, and until when an account asked to be left alone.
//!
//! An account whose provider hangs fills its own places and nobody else's: its further jobs wait a
//! little, then go back to the queue, and claims pass it over. What is kept of an account is
//! forgotten when nothing of it is under way or put off, so there is never more than the jobs of
//! this node and the accounts that asked for patience within the last minute.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{ProviderAccountId, Timestamp, job::JobKind};

/// When a job that found no place is tried again.
const TRY_AGAIN_AFTER: time::Duration = time::Duration::seconds(1);

/// What is bounded apart, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    HangUps,
    Instructions,
    Dials,
    /// By the sweep, which bounds them itself; an account is held when it did not answer.
    Reads,
}

impl Lane {
    pub(super) fn of(kind: JobKind) -> Self {
        match kind {
            JobKind::HangUpCall => Self::HangUps,
            JobKind::AnswerCall | JobKind::InstructCall => Self::Instructions,
            JobKind::DialCall => Self::Dials,
        }
    }

    /// Requests of one account that are under way at once: an eighth or a quarter of the node's.
    fn places(self) -> usize {
        match self {
            Self::HangUps => 128,
            Self::Instructions | Self::Dials | Self::Reads => 32,
        }
    }

    /// Jobs taken from one organisation in one round. Taken from an account that has as many places
    /// free: a lease must not run out waiting.
    pub(super) fn per_claim(self) -> usize {
        match self {
            Self::HangUps => 32,
            Self::Instructions | Self::Dials | Self::Reads => 16,
        }
    }

    /// Jobs of one account that wait in memory for a place, each for a few seconds.
    fn most_waiting(self) -> usize {
        match self {
            Self::HangUps => 512,
            Self::Instructions | Self::Dials | Self::Reads => 128,
        }
    }

    /// How long a provider may put us off. Somebody pays for a call that is to end, and somebody
    /// listens into silence where a call is to be told what to do.
    fn longest_hold(self) -> time::Duration {
        match self {
            Self::HangUps | Self::Instructions | Self::Reads => time::Duration::seconds(10),
            Self::Dials => time::Duration::seconds(60),
        }
    }
}

/// The accounts with something under way or put off on this node.
#[derive(Default)]
pub(super) struct Accounts(Mutex<HashMap<ProviderAccountId, Gate>>);

/// One account's places.
struct Gate {
    /// Who holds a place or waits for one.
    visitors: usize,
    lanes: [Places; 4],
}

struct Places {
    free: Arc<Semaphore>,
    waiting: usize,
    held_until: Option<Timestamp>,
}

/// A place at an account; given back when dropped.
pub(super) struct Place {
    // Before the visit: whoever sees no visitor finds every place free.
    _permit: OwnedSemaphorePermit,
    _visit: Visit,
}

/// Keeps what is known of an account.
struct Visit {
    id: ProviderAccountId,
    accounts: Arc<Accounts>,
}

impl Gate {
    fn new() -> Self {
        let places = |lane: Lane| Places {
            free: Arc::new(Semaphore::new(lane.places())),
            waiting: 0,
            held_until: None,
        };
        Self {
            visitors: 0,
            lanes: [
                places(Lane::HangUps),
                places(Lane::Instructions),
                places(Lane::Dials),
                places(Lane::Reads),
            ],
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Places {
        let [hang_ups, instructions, dials, reads] = &mut self.lanes;
        match lane {
            Lane::HangUps => hang_ups,
            Lane::Instructions => instructions,
            Lane::Dials => dials,
            Lane::Reads => reads,
        }
    }

    fn is_idle(&self) -> bool {
        self.visitors == 0 && self.lanes.iter().all(|lane| lane.held_until.is_none())
    }

    fn forget_holds(&mut self, now: Timestamp) {
        for lane in &mut self.lanes {
            lane.held_until = lane.held_until.filter(|until| *until > now);
        }
    }
}

impl Accounts {
    /// Takes a place of the account, after at most `patience`.
    ///
    /// # Errors
    /// There is none, or the provider asked us to wait: not before that instant.
    pub(super) async fn take(
        self: &Arc<Self>,
        id: ProviderAccountId,
        lane: Lane,
        patience: Duration,
        now: impl Fn() -> Timestamp + Send + Sync,
    ) -> Result<Place, Timestamp> {
        let (visit, places) = self.visit(id, lane, now())?;
        let permit = match Arc::clone(&places).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_full) => {
                let no_place = |now: Timestamp| now.plus(TRY_AGAIN_AFTER);
                if patience.is_zero() || !self.may_wait(id, lane) {
                    return Err(no_place(now()));
                }
                let waited = Waiting(&visit, lane);
                let permit = tokio::time::timeout(patience, places.acquire_owned()).await;
                drop(waited);
                let Ok(Ok(permit)) = permit else {
                    return Err(no_place(now()));
                };
                // It may have asked for patience meanwhile.
                self.not_held(id, lane, now())?;
                permit
            }
        };
        Ok(Place {
            _permit: permit,
            _visit: visit,
        })
    }

    /// Leaves the account alone, in this lane, for as long as its provider `asked`, within bounds.
    pub(super) fn hold(
        &self,
        id: ProviderAccountId,
        lane: Lane,
        asked: time::Duration,
        now: Timestamp,
    ) {
        let asked = asked.clamp(time::Duration::ZERO, lane.longest_hold());
        if asked.is_zero() {
            return;
        }
        let mut gates = self.lock();
        let held = &mut gates
            .entry(id)
            .or_insert_with(Gate::new)
            .lane(lane)
            .held_until;
        *held = (*held).max(Some(now.plus(asked)));
    }

    /// The accounts whose jobs of this lane must stay in the queue, for want of places.
    pub(super) fn full(&self, lane: Lane, now: Timestamp) -> Vec<ProviderAccountId> {
        let mut gates = self.lock();
        let mut full = Vec::new();
        gates.retain(|id, gate| {
            gate.forget_holds(now);
            if gate.lane(lane).free.available_permits() < lane.per_claim() {
                full.push(*id);
            }
            !gate.is_idle()
        });
        full
    }

    fn visit(
        self: &Arc<Self>,
        id: ProviderAccountId,
        lane: Lane,
        now: Timestamp,
    ) -> Result<(Visit, Arc<Semaphore>), Timestamp> {
        let mut gates = self.lock();
        let gate = gates.entry(id).or_insert_with(Gate::new);
        if let Some(until) = gate.lane(lane).held_until.filter(|until| *until > now) {
            return Err(until);
        }
        gate.visitors += 1;
        let places = Arc::clone(&gate.lane(lane).free);
        let visit = Visit {
            id,
            accounts: Arc::clone(self),
        };
        Ok((visit, places))
    }

    /// Whether the account is left alone now.
    pub(super) fn is_held(&self, id: ProviderAccountId, lane: Lane, now: Timestamp) -> bool {
        self.not_held(id, lane, now).is_err()
    }

    fn not_held(&self, id: ProviderAccountId, lane: Lane, now: Timestamp) -> Result<(), Timestamp> {
        let mut gates = self.lock();
        let held = gates
            .get_mut(&id)
            .and_then(|gate| gate.lane(lane).held_until);
        held.filter(|until| *until > now).map_or(Ok(()), Err)
    }

    fn may_wait(&self, id: ProviderAccountId, lane: Lane) -> bool {
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(&id) else {
            return false;
        };
        let places = gate.lane(lane);
        let room = places.waiting < lane.most_waiting();
        places.waiting += usize::from(room);
        room
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProviderAccountId, Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a place; it leaves the queue when dropped.
struct Waiting<'a>(&'a Visit, Lane);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut gates = self.0.accounts.lock();
        if let Some(gate) = gates.get_mut(&self.0.id) {
            let places = gate.lane(self.1);
            places.waiting = places.waiting.saturating_sub(1);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut gates = self.accounts.lock();
        let Some(gate) = gates.get_mut(&self.id) else {
            return;
        };
        gate.visitors = gate.visitors.saturating_sub(1);
        if gate.is_idle() {
            gates.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        let start: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        start.plus(time::Duration::seconds(seconds))
    }

    fn account(number: u128) -> ProviderAccountId {
        ProviderAccountId(uuid::Uuid::from_u128(number))
    }

    async fn take(accounts: &Arc<Accounts>, lane: Lane) -> Result<Place, Timestamp> {
        accounts
            .take(account(1), lane, Duration::ZERO, || at(0))
            .await
    }

    #[tokio::test]
    async fn a_full_lane_leaves_the_others_and_other_accounts_their_places() {
        let accounts = Arc::new(Accounts::default());
        let mut held = Vec::new();
        for _ in 0..Lane::Dials.places() {
            held.push(take(&accounts, Lane::Dials).await.ok().unwrap());
        }
        assert_eq!(take(&accounts, Lane::Dials).await.err(), Some(at(1)));
        assert_eq!(accounts.full(Lane::Dials, at(0)), [account(1)]);
        assert!(take(&accounts, Lane::HangUps).await.is_ok());
        let other = accounts.take(account(2), Lane::Dials, Duration::ZERO, || at(0));
        assert!(other.await.is_ok());

        drop(held);
        assert!(accounts.full(Lane::Dials, at(0)).is_empty());
        assert!(
            accounts.lock().is_empty(),
            "nothing is kept of idle accounts"
        );
    }

    #[tokio::test]
    async fn who_waits_gets_the_place_that_becomes_free() {
        let accounts = Arc::new(Accounts::default());
        let mut held = Vec::new();
        for _ in 0..Lane::Dials.places() {
            held.push(take(&accounts, Lane::Dials).await.ok().unwrap());
        }
        let patient = accounts.take(account(1), Lane::Dials, Duration::from_secs(30), || at(0));
        let (place, ()) = tokio::join!(patient, async {
            tokio::task::yield_now().await;
            held.pop();
        });
        assert!(place.is_ok());
    }

    #[tokio::test]
    async fn patience_is_kept_in_its_lane_within_its_bounds() {
        let accounts = Arc::new(Accounts::default());
        let day = time::Duration::days(1);
        accounts.hold(account(1), Lane::HangUps, day, at(0));
        assert_eq!(take(&accounts, Lane::HangUps).await.err(), Some(at(10)));
        assert!(take(&accounts, Lane::Dials).await.is_ok());
        accounts.hold(account(1), Lane::Dials, day, at(0));
        assert_eq!(take(&accounts, Lane::Dials).await.err(), Some(at(60)));
        assert!(
            accounts.full(Lane::Dials, at(0)).is_empty(),
            "it has places"
        );
        let later = accounts.take(account(1), Lane::HangUps, Duration::ZERO, || at(10));
        assert!(later.await.is_ok());
        accounts.full(Lane::Dials, at(60));
        assert!(accounts.lock().is_empty(), "what is over is forgotten");
    }
}

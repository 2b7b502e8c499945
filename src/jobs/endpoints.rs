//! How much of this node each receiver may take, and which are left alone for a while.
//!
//! A receiver that answers well has [`PLACES`]; one of which nothing is known yet has
//! [`FIRST_PLACES`], and one that failed [`FAILURES_TO_OPEN`] times in a row is asked by one
//! delivery in each [`PROBE_EVERY`] until it takes one (its circuit is open). What it is not asked
//! for stays due and costs no attempt. Receivers that are slow, failing or new share places of the
//! node of their own, so that none of them takes one from a receiver that answers at once; an
//! organisation has [`LONG_PLACES`] of these at most, so that one whose receivers all hang leaves
//! places to the others'. Memory of this node only: each finds out by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use time::Duration;
use tokio::sync::Semaphore;

use crate::{
    db::Wake,
    domain::{OrganizationId, Timestamp, WebhookEndpointId},
};

/// Deliveries under way to one receiver at the same time on this node: batches of one call's.
const PLACES: i32 = 8;

/// As [`PLACES`], for a receiver of which nothing is known, and one that failed last.
pub(super) const FIRST_PLACES: i32 = 2;

/// Deliveries of one organisation under way at the same time on this node to receivers that may take
/// long: a quarter of the places that all of these share ([`super::Bounds`]).
const LONG_PLACES: usize = 64;

/// Failures in a row after which a receiver is left alone.
const FAILURES_TO_OPEN: u32 = 5;

/// How often a receiver with an open circuit is tried.
const PROBE_EVERY: Duration = Duration::seconds(30);

/// An answer that takes longer makes a receiver slow.
const SLOW: std::time::Duration = std::time::Duration::from_millis(500);

/// Receivers of which something is remembered; beyond, those are forgotten to which nothing is under
/// way, unless they failed lately.
const MOST: usize = 10_000;

/// What this node knows of receivers.
#[derive(Default)]
pub(super) struct Endpoints {
    known: Mutex<HashMap<WebhookEndpointId, Known>>,
    long_places: Mutex<HashMap<OrganizationId, Weak<Semaphore>>>,
}

#[derive(Default)]
struct Known {
    /// Whose it is; `None`: nothing was ever under way to it.
    organization_id: Option<OrganizationId>,
    running: i32,
    /// In a row.
    failures: u32,
    /// Its last answer came in time and was a success.
    well: bool,
    slow: bool,
    not_before: Option<Timestamp>,
    /// There was more to take than there were places.
    more: bool,
}

impl Known {
    fn free(&self, now: Timestamp) -> i32 {
        if self.failures >= FAILURES_TO_OPEN {
            let wait = self.running > 0 || self.not_before.is_some_and(|at| at > now);
            return i32::from(!wait);
        }
        let places = if self.well { PLACES } else { FIRST_PLACES };
        (places - self.running).max(0)
    }

    /// One that failed last and was left alone for as long as it is to be may be one that is gone.
    fn worth_knowing(&self, now: Timestamp) -> bool {
        self.running > 0 || self.not_before.is_some_and(|at| at > now)
    }
}

/// One batch's place; given back when dropped.
pub(super) struct Place {
    organization_id: OrganizationId,
    endpoint_id: WebhookEndpointId,
    endpoints: Arc<Endpoints>,
    wake: Wake,
}

impl Endpoints {
    /// The free places of each receiver of an organisation of which something is known.
    pub(super) fn free(
        &self,
        organization_id: OrganizationId,
        now: Timestamp,
    ) -> Vec<(WebhookEndpointId, i32)> {
        let known = self.lock();
        let own = known.iter();
        own.filter(|(_, of)| of.organization_id == Some(organization_id))
            .map(|(id, of)| (*id, of.free(now)))
            .collect()
    }

    /// The receivers that get nothing now.
    pub(super) fn full(&self, now: Timestamp) -> Vec<WebhookEndpointId> {
        let known = self.lock();
        let full = known.iter().filter(|(_, of)| of.free(now) == 0);
        full.map(|(id, _)| *id).collect()
    }

    /// Whether a receiver shares the places of those that may take long.
    pub(super) fn may_take_long(&self, id: WebhookEndpointId) -> bool {
        self.lock().get(&id).is_none_or(|of| !of.well || of.slow)
    }

    /// The places of an organisation among those that may take long.
    pub(super) fn long_places(&self, organization_id: OrganizationId) -> Arc<Semaphore> {
        let mut places = self
            .long_places
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = places.get(&organization_id).and_then(Weak::upgrade) {
            return places;
        }
        // Nobody holds or waits for one of those that are gone.
        places.retain(|_, of| of.strong_count() > 0);
        let own = Arc::new(Semaphore::new(LONG_PLACES));
        places.insert(organization_id, Arc::downgrade(&own));
        own
    }

    /// Takes a place at `now`; `more`: others of the receiver's wait for one.
    pub(super) fn take(
        self: &Arc<Self>,
        organization_id: OrganizationId,
        endpoint_id: WebhookEndpointId,
        more: bool,
        wake: &Wake,
        now: Timestamp,
    ) -> Place {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.retain(|_, of| of.worth_knowing(now));
        }
        let of = known.entry(endpoint_id).or_default();
        of.organization_id = Some(organization_id);
        of.running += 1;
        of.more |= more;
        Place {
            organization_id,
            endpoint_id,
            endpoints: Arc::clone(self),
            wake: wake.clone(),
        }
    }

    /// What an attempt shows.
    pub(super) fn saw(
        &self,
        id: WebhookEndpointId,
        delivered: bool,
        took: std::time::Duration,
        now: Timestamp,
    ) {
        let mut known = self.lock();
        let of = known.entry(id).or_default();
        of.well = delivered;
        of.slow = took > SLOW;
        of.failures = if delivered {
            0
        } else {
            of.failures.saturating_add(1)
        };
        of.not_before = (!delivered).then(|| now.plus(PROBE_EVERY));
    }

    /// Whether a receiver's circuit is open: what is taken and not begun is given back.
    pub(super) fn is_open(&self, id: WebhookEndpointId) -> bool {
        let known = self.lock();
        known
            .get(&id)
            .is_some_and(|of| of.failures >= FAILURES_TO_OPEN)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WebhookEndpointId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.endpoints.lock();
        let Some(of) = known.get_mut(&self.endpoint_id) else {
            return;
        };
        of.running -= 1;
        let more = std::mem::take(&mut of.more);
        drop(known);
        if more {
            // What was passed over while the places were taken has become possible.
            self.wake.wake_deliveries(self.organization_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: WebhookEndpointId = WebhookEndpointId(uuid::Uuid::from_u128(1));
    const AT_ONCE: std::time::Duration = std::time::Duration::ZERO;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1000)
    }

    const OWNER: OrganizationId = OrganizationId(uuid::Uuid::nil());

    fn take(endpoints: &Arc<Endpoints>) -> Place {
        endpoints.take(OWNER, ID, false, &Wake::default(), at(0))
    }

    #[test]
    fn an_organization_has_a_part_of_the_places_of_those_that_may_take_long() {
        let endpoints = Endpoints::default();
        let held: Vec<_> = (0..LONG_PLACES)
            .map(|_| endpoints.long_places(OWNER).try_acquire_owned().unwrap())
            .collect();
        assert!(endpoints.long_places(OWNER).try_acquire_owned().is_err());
        let other = OrganizationId(uuid::Uuid::from_u128(2));
        assert!(endpoints.long_places(other).try_acquire_owned().is_ok());
        drop(held);
        assert!(endpoints.long_places(OWNER).try_acquire_owned().is_ok());
    }

    #[test]
    fn of_many_receivers_those_are_forgotten_that_failed_long_ago() {
        let endpoints = Arc::new(Endpoints::default());
        let id = |number: usize| WebhookEndpointId(uuid::Uuid::from_u128(number as u128));
        for number in 2..MOST + 2 {
            let failed_at = if number == 2 { 60 } else { 0 };
            endpoints.saw(id(number), false, AT_ONCE, at(failed_at));
        }
        let _place = endpoints.take(OWNER, ID, false, &Wake::default(), at(61));
        assert_eq!(endpoints.lock().len(), 2);
        assert!(endpoints.lock().contains_key(&id(2)));
    }

    #[test]
    fn a_receiver_that_answers_well_gets_more_places() {
        let endpoints = Arc::new(Endpoints::default());
        let first = take(&endpoints);
        assert_eq!(endpoints.free(OWNER, at(0)), [(ID, 1)]);
        assert!(endpoints.may_take_long(ID));
        endpoints.saw(ID, true, AT_ONCE, at(0));
        assert_eq!(endpoints.free(OWNER, at(0)), [(ID, 7)]);
        assert!(!endpoints.may_take_long(ID));
        drop(first);
        assert_eq!(endpoints.free(OWNER, at(0)), [(ID, 8)]);
        endpoints.saw(ID, true, std::time::Duration::from_secs(2), at(0));
        assert!(endpoints.may_take_long(ID));
    }

    #[test]
    fn a_receiver_that_keeps_failing_is_tried_once_in_a_while_until_it_takes_one() {
        let endpoints = Arc::new(Endpoints::default());
        drop(take(&endpoints));
        for _ in 0..5 {
            assert_eq!(endpoints.full(at(0)), []);
            endpoints.saw(ID, false, AT_ONCE, at(0));
        }
        assert!(endpoints.is_open(ID));
        assert_eq!(endpoints.full(at(29)), [ID]);
        assert_eq!(endpoints.free(OWNER, at(30)), [(ID, 1)]);
        let probe = take(&endpoints);
        assert_eq!(endpoints.full(at(30)), [ID]);
        endpoints.saw(ID, false, AT_ONCE, at(31));
        drop(probe);
        assert_eq!(endpoints.full(at(60)), [ID]);
        endpoints.saw(ID, true, AT_ONCE, at(61));
        assert_eq!(endpoints.free(OWNER, at(61)), [(ID, 8)]);
    }
}

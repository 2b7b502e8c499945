//! How many requests a token or a person, and an organisation, may send on this node.
//!
//! Exactness across nodes is not wanted: a client behind a load balancer may come to as many times
//! its quota as there are nodes, and no request waits for a shared counter. A quota is a minute's
//! requests, which may come all at once and come back evenly (the generic cell rate algorithm).
//!
//! **The safety lane**: ending and reading do not count against the quotas and are never refused by
//! them. They have a ceiling of their own, orders of magnitude higher, against a client that has
//! gone mad.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::Clock as GovernorClock,
    middleware::{StateInformationMiddleware, StateSnapshot},
    nanos::Nanos,
    state::keyed::DashMapStateStore,
};
use uuid::Uuid;

use crate::{
    ambient::Clock,
    domain::{
        Error, ErrorCode, OrganizationId,
        token::{Caller, Principal},
    },
};

/// How many requests a minute; `None`: any number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotas {
    pub of_token: Option<NonZeroU32>,
    pub of_organization: Option<NonZeroU32>,
    /// The ceiling of an organisation's ends and reads.
    pub of_safety_lane: Option<NonZeroU32>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Ending and reading.
    Safety,
    Ordinary,
}

/// How a caller stands with one quota, for the answer's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the quota is of: `token`, `organization`, `safety`.
    pub of: &'static str,
    pub quota: u32,
    pub remaining: u32,
    /// Until the whole quota is there again.
    pub whole_in: Duration,
}

/// A request too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub standing: Standing,
    /// Until the next request is served.
    pub wait: Duration,
}

/// What a quota is for.
pub const WINDOW: Duration = Duration::from_mins(1);

/// Requests counted by token and by organisation. Cheap to clone.
///
/// An entry of some tens of bytes stays for each token and organisation that was ever identified
/// here; who cannot be identified leaves none.
#[derive(Clone)]
pub struct Rates(Arc<Limiters>);

struct Limiters {
    /// By the token's id or the person's.
    token: Option<Limiter<Uuid>>,
    organization: Option<Limiter<OrganizationId>>,
    safety: Option<Limiter<OrganizationId>>,
}

struct Limiter<K: std::hash::Hash + Eq + Clone> {
    of: &'static str,
    quota: NonZeroU32,
    counted: RateLimiter<K, DashMapStateStore<K>, Ticks, StateInformationMiddleware>,
}

/// Our clock, as the limiter reads it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl GovernorClock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let millis = u64::try_from(self.0.now().unix_millis()).unwrap_or(0);
        Nanos::from(millis.saturating_mul(1_000_000))
    }
}

impl Rates {
    pub fn new(quotas: Quotas, clock: &Arc<dyn Clock>) -> Self {
        Self(Arc::new(Limiters {
            token: Limiter::new("token", quotas.of_token, clock),
            organization: Limiter::new("organization", quotas.of_organization, clock),
            safety: Limiter::new("safety", quotas.of_safety_lane, clock),
        }))
    }

    /// Counts a request. The standing is with the quota that is nearest to its end; `None` where
    /// there is no quota.
    ///
    /// # Errors
    /// The request is one too many.
    pub fn count(&self, caller: &Caller, lane: Lane) -> Result<Option<Standing>, Refusal> {
        let limiters = &*self.0;
        let organization = &caller.organization_id;
        if lane == Lane::Safety {
            let safety = limiters.safety.as_ref();
            return safety.map(|safety| safety.count(organization)).transpose();
        }
        let of_token = match (&limiters.token, of_one(caller)) {
            (Some(limiter), Some(one)) => Some(limiter.count(&one)?),
            _ => None,
        };
        let limiter = limiters.organization.as_ref();
        let of_organization = limiter.map(|one| one.count(organization)).transpose()?;
        Ok(match (of_token, of_organization) {
            (Some(one), Some(other)) if other.remaining < one.remaining => Some(other),
            (one, other) => one.or(other),
        })
    }
}

/// Whose quota of its own a request counts against. A person has one for all sessions.
fn of_one(caller: &Caller) -> Option<Uuid> {
    match caller.principal {
        Principal::Token(id) => Some(id.0),
        Principal::Person { person_id, .. } => Some(person_id.0),
        Principal::Local => None,
    }
}

impl<K: std::hash::Hash + Eq + Clone> Limiter<K> {
    fn new(of: &'static str, quota: Option<NonZeroU32>, clock: &Arc<dyn Clock>) -> Option<Self> {
        let quota = quota?;
        let limit = Quota::per_minute(quota);
        Some(Self {
            of,
            quota,
            counted: RateLimiter::new(
                limit,
                DashMapStateStore::default(),
                Ticks(Arc::clone(clock)),
            ),
        })
    }

    fn count(&self, key: &K) -> Result<Standing, Refusal> {
        self.counted
            .check_key(key)
            .map(|state| self.standing(&state))
            .map_err(|refusal| self.refusal(&refusal))
    }

    fn standing(&self, state: &StateSnapshot) -> Standing {
        let remaining = state.remaining_burst_capacity();
        let used = self.quota.get().saturating_sub(remaining);
        Standing {
            of: self.of,
            quota: self.quota.get(),
            remaining,
            whole_in: WINDOW.mul_f64(f64::from(used) / f64::from(self.quota.get())),
        }
    }

    fn refusal(&self, refusal: &NotUntil<Nanos>) -> Refusal {
        Refusal {
            standing: Standing {
                of: self.of,
                quota: self.quota.get(),
                remaining: 0,
                whole_in: WINDOW,
            },
            wait: refusal.wait_time_from(self.counted.clock().now()),
        }
    }
}

impl From<Refusal> for Error {
    /// `RATE_LIMITED`, with the time to wait.
    fn from(refusal: Refusal) -> Self {
        let Standing { of, quota, .. } = refusal.standing;
        let whose = if of == "token" {
            "token or person"
        } else {
            "organisation"
        };
        let detail = match of {
            "safety" => format!(
                "More than {quota} ends and reads of one {whose} in a minute; wait and try again"
            ),
            _ => format!(
                "More than {quota} requests of one {whose} in a minute; wait and try again. Ending and reading calls go on"
            ),
        };
        let wait = time::Duration::try_from(refusal.wait).unwrap_or(time::Duration::MINUTE);
        Self::new(ErrorCode::RateLimited, detail).retry_after(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ambient::ManualClock, domain::TokenId};

    fn rates(
        of_token: u32,
        of_organization: u32,
        of_safety_lane: u32,
    ) -> (Rates, Arc<ManualClock>) {
        let start = "2026-11-21T09:30:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::at(start));
        let quotas = Quotas {
            of_token: NonZeroU32::new(of_token),
            of_organization: NonZeroU32::new(of_organization),
            of_safety_lane: NonZeroU32::new(of_safety_lane),
        };
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        (Rates::new(quotas, &shared), clock)
    }

    fn caller(organization: u128, token: u128) -> Caller {
        let id = OrganizationId(Uuid::from_u128(organization));
        Caller {
            principal: Principal::Token(TokenId(Uuid::from_u128(token))),
            ..Caller::without_token(id, Vec::new())
        }
    }

    #[test]
    fn a_token_has_its_quota_at_once_and_gets_it_back_evenly() {
        let (rates, clock) = rates(6, 0, 0);
        let caller = caller(1, 1);
        for remaining in (0..6).rev() {
            let standing = rates.count(&caller, Lane::Ordinary).unwrap().unwrap();
            assert_eq!((standing.of, standing.quota), ("token", 6));
            assert_eq!(standing.remaining, remaining);
        }
        let refusal = rates.count(&caller, Lane::Ordinary).unwrap_err();
        let error = Error::from(refusal);
        assert_eq!(
            (refusal.standing.remaining, error.code),
            (0, ErrorCode::RateLimited)
        );
        assert_eq!(error.retry_after, Some(time::Duration::seconds(10)));
        clock.advance(time::Duration::seconds(10));
        assert!(rates.count(&caller, Lane::Ordinary).is_ok());
        assert!(rates.count(&caller, Lane::Ordinary).is_err());
    }

    #[test]
    fn tokens_share_their_organisations_quota_and_others_do_not() {
        let (rates, _clock) = rates(3, 4, 0);
        for token in [1, 1, 1, 2] {
            assert!(rates.count(&caller(1, token), Lane::Ordinary).is_ok());
        }
        let refusal = rates.count(&caller(1, 2), Lane::Ordinary).unwrap_err();
        assert_eq!(refusal.standing.of, "organization");
        assert!(rates.count(&caller(2, 3), Lane::Ordinary).is_ok());
    }

    #[test]
    fn the_safety_lane_goes_on_when_the_quotas_are_used_up_until_its_ceiling() {
        let (rates, _clock) = rates(1, 1, 3);
        let caller = caller(1, 1);
        assert!(rates.count(&caller, Lane::Ordinary).is_ok());
        assert!(rates.count(&caller, Lane::Ordinary).is_err());
        for _ in 0..3 {
            assert!(rates.count(&caller, Lane::Safety).is_ok());
        }
        let refusal = rates.count(&caller, Lane::Safety).unwrap_err();
        assert_eq!(refusal.standing.of, "safety");
    }

    #[test]
    fn without_quotas_nothing_is_counted() {
        let (rates, _clock) = rates(0, 0, 0);
        for lane in [Lane::Safety, Lane::Ordinary] {
            assert_eq!(rates.count(&caller(1, 1), lane).unwrap(), None);
        }
    }
}

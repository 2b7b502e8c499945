//! Sessions: how long a login lasts, and what an access token says.

use time::Duration;

use super::{OrganizationId, PersonId, SessionId, Timestamp};

/// How long an access token is good. It is checked against its session at most two seconds late, so
/// this only bounds how long one that leaked may be kept for later.
pub const ACCESS: Duration = Duration::minutes(15);

/// A session that is not refreshed for so long is over.
pub const IDLE: Duration = Duration::days(14);

/// A session is over then, however often it was refreshed.
pub const LONGEST: Duration = Duration::days(90);

/// When a session that began at `began` and is used at `now` is over unless it is refreshed.
pub fn expires_at(began: Timestamp, now: Timestamp) -> Timestamp {
    now.plus(IDLE).min(began.plus(LONGEST))
}

/// What an access token says, once its signature, issuer and audience were found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    pub person_id: PersonId,
    pub session_id: SessionId,
    /// The organisation that the person named at login; `None`: the only one there is, or the one
    /// that each request names.
    pub organization_id: Option<OrganizationId>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

impl AccessClaims {
    pub fn new(
        person_id: PersonId,
        session_id: SessionId,
        organization_id: Option<OrganizationId>,
        now: Timestamp,
    ) -> Self {
        Self {
            person_id,
            session_id,
            organization_id,
            issued_at: now,
            expires_at: now.plus(ACCESS),
        }
    }

    /// Whether the token is good at `now`: nodes reckon in the database's time, so no leeway is
    /// needed beyond the second to which the claims are cut.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_while_it_is_used_and_no_longer_than_ninety_days() {
        let began: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        let day = |days: i64| began.plus(Duration::days(days));
        assert_eq!(expires_at(began, began), day(14));
        assert_eq!(expires_at(began, day(10)), day(24));
        assert_eq!(expires_at(began, day(80)), day(90));
    }

    #[test]
    fn an_access_token_is_good_for_fifteen_minutes() {
        let now: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        let ids = uuid::Uuid::nil();
        let claims = AccessClaims::new(PersonId(ids), SessionId(ids), None, now);
        assert!(claims.holds_at(now.plus(Duration::seconds(899))));
        assert!(!claims.holds_at(now.plus(Duration::seconds(900))));
    }
}

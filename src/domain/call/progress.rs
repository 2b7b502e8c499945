//! What a client that waits for an end may be told.

use super::{Call, EndState};
use crate::domain::Timestamp;

/// How a wish stands, seen from a request that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndProgress {
    /// Nothing new yet.
    Pending,
    /// Evidence that the call is over.
    Final,
    /// The provider accepted; evidence is to follow.
    Accepted,
    /// An attempt failed and is repeated by itself.
    Retrying { at: Option<Timestamp> },
    /// The provider refuses for good.
    Refused,
}

/// The progress of `call`'s end since the wish had `attempts_before` recorded attempts.
pub fn end_progress(call: &Call, attempts_before: i32) -> EndProgress {
    if !call.is_live() {
        return EndProgress::Final;
    }
    let Some(wish) = &call.wish else {
        return EndProgress::Pending;
    };
    match wish.state {
        EndState::Accepted | EndState::Confirmed => EndProgress::Accepted,
        EndState::Failed => EndProgress::Refused,
        EndState::Requested | EndState::Unconfirmed if wish.attempts > attempts_before => {
            EndProgress::Retrying { at: wish.retry_at }
        }
        EndState::Requested | EndState::Unconfirmed => EndProgress::Pending,
    }
}

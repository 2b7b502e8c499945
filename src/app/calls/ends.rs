//! When this node recorded ends of late. Memory only and best effort: it widens what counts as
//! concurrent with an end, and decides nothing about a call.

use std::time::Duration;

use moka::future::Cache;

use crate::domain::{CallId, Timestamp};

/// Longer than a request can have been under way before it reads the call.
const REMEMBERED: Duration = Duration::from_mins(1);
const MOST_REMEMBERED: u64 = 100_000;

/// The instants at which ends became durable, by call.
#[derive(Clone)]
pub struct Ends(Cache<CallId, Timestamp>);

impl Default for Ends {
    fn default() -> Self {
        Self(
            Cache::builder()
                .time_to_live(REMEMBERED)
                .max_capacity(MOST_REMEMBERED)
                .build(),
        )
    }
}

impl Ends {
    /// Remembers that the call's end is durable at `now`, before anybody is told of it.
    pub(super) async fn record(&self, call_id: CallId, now: Timestamp) {
        self.0.insert(call_id, now).await;
    }

    /// When this node recorded the call's end; `None`: another did, or long ago.
    pub(super) async fn recorded_at(&self, call_id: CallId) -> Option<Timestamp> {
        self.0.get(&call_id).await
    }
}

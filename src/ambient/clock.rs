//! Where the time comes from.

use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

use crate::domain::Timestamp;

/// A source of the present instant. Implementations are cheap and never block.
pub trait Clock: Send + Sync {
    /// The present instant, truncated to milliseconds.
    fn now(&self) -> Timestamp;

    /// Tells the clock how far the database's clock is ahead of what it shows, in milliseconds.
    ///
    /// Leases and schedules of several nodes are compared with each other, so every node reckons
    /// in the database's time.
    fn adjust_millis(&self, ahead: i64);
}

/// The machine's clock, corrected by the offset to the database's clock.
#[derive(Default)]
pub struct SystemClock {
    offset_millis: AtomicI64,
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let offset = Duration::milliseconds(self.offset_millis.load(Ordering::Relaxed));
        Timestamp::from(OffsetDateTime::now_utc() + offset)
    }

    fn adjust_millis(&self, ahead: i64) {
        self.offset_millis.fetch_add(ahead, Ordering::Relaxed);
    }
}

/// A clock that moves only when told to.
pub struct ManualClock {
    unix_millis: AtomicI64,
}

impl ManualClock {
    pub fn at(start: Timestamp) -> Self {
        Self {
            unix_millis: AtomicI64::new(start.unix_millis()),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.whole_milliseconds()).unwrap_or(i64::MAX);
        self.unix_millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.unix_millis.load(Ordering::SeqCst))
    }

    fn adjust_millis(&self, _ahead: i64) {}
}

//! What tests must control: the clock, chance, and background tasks.
//!
//! Everything that reads the time, draws a random number or spawns a task receives an [`Ambient`]
//! and asks it. The forbidden direct calls are listed in `clippy.toml`.

mod clock;
mod entropy;
mod tasks;

use std::sync::Arc;

pub use clock::{Clock, ManualClock, SystemClock};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use tasks::Tasks;
use uuid::Uuid;

use crate::domain::Timestamp;

/// The clock, the source of chance and the task tracker, passed as one value.
#[derive(Clone)]
pub struct Ambient {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub tasks: Tasks,
}

impl Ambient {
    /// The operating system's clock and entropy.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            entropy: Arc::new(OsEntropy),
            tasks: Tasks::default(),
        }
    }

    /// The present instant, truncated to milliseconds.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new version 7 UUID (RFC 9562 section 5.7): rows that only grow in number are written to
    /// the end of their index, not to a page of its own for each. It tells when it was made, so it is
    /// no secret and no id of a call.
    pub fn ordered_uuid(&self) -> Uuid {
        let millis = u64::try_from(self.now().unix_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.entropy.bytes()).into_uuid()
    }
}

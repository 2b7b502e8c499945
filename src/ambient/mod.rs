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
}

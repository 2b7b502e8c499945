//! The only place in the simulator that waits.
//!
//! It waits in real time, on the runtime's timers: a simulated phone rings for as long as a phone
//! rings, whatever the ambient clock shows.

use std::time::Duration;

use crate::ambient::Tasks;

/// Waits. `false` when the tasks were stopped meanwhile: give up.
pub(super) async fn pause(tasks: &Tasks, duration: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(duration) => true,
        () = tasks.stopping() => false,
    }
}

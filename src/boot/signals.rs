//! How the process is asked to stop: the first signal softly, the second at once.

use tokio::signal::unix::{SignalKind, signal};

use super::Node;
use crate::ambient::Tasks;

/// Why a node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Asked,
    /// A background task panicked: the node must not look alive.
    Crashed,
}

/// Completes at SIGINT or SIGTERM, or when a background task has panicked.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub async fn stop_of(tasks: &Tasks) -> std::io::Result<Stop> {
    tokio::select! {
        stopped = asked_to_stop() => stopped.map(|()| Stop::Asked),
        () = tasks.crashed() => Ok(Stop::Crashed),
    }
}

/// Stops the node in order, or at once at another signal.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub async fn stop(node: Node) -> std::io::Result<()> {
    tokio::select! {
        () = node.stop() => Ok(()),
        second = asked_to_stop() => second,
    }
}

async fn asked_to_stop() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

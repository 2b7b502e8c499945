//! How the process is asked to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Completes at the first SIGINT or SIGTERM.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn asked_to_stop() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

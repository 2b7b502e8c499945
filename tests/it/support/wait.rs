//! Waiting for a condition, with what was seen last in the failure.

use std::{fmt::Debug, future::Future, time::Duration};

/// How long a condition may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until `done` holds and returns what it held for; fails, showing the last answer, when that
/// takes longer than 90 s.
pub async fn wait_for<T: Debug, F: Future<Output = T>>(
    what: &str,
    ask: impl FnMut() -> F,
    done: impl Fn(&T) -> bool,
) -> T {
    wait_at_most(PATIENCE, what, ask, done).await
}

/// As [`wait_for`], for what takes its time by design.
pub async fn wait_at_most<T: Debug, F: Future<Output = T>>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
    done: impl Fn(&T) -> bool,
) -> T {
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        again.tick().await;
        let seen = ask().await;
        if done(&seen) {
            return seen;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited for {what}; last seen: {seen:#?}"
        );
    }
}

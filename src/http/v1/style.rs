//! How canonical routes answer: what succeeded as it is, what failed as a problem (RFC 9457), and
//! that a client that goes away interrupts nothing.

use std::future::Future;

use crate::{
    db::admission,
    domain::{Error, Result},
    http::{HttpState, answer::Answer, error, extract::Incoming},
};

/// The answer to a canonical request.
pub(in crate::http) fn finish(incoming: &Incoming, result: Result<Answer>) -> Answer {
    result.unwrap_or_else(|error| {
        error::problem(&error, &incoming.context.request_id, incoming.uri.path())
    })
}

/// Carries something out in a task of its own, as the same request.
///
/// # Errors
/// The work's own; `INTERNAL` when it panicked.
pub(in crate::http) async fn in_own_task(
    state: &HttpState,
    doing: &'static str,
    work: impl Future<Output = Result<Answer>> + Send + 'static,
) -> Result<Answer> {
    let tasks = &state.app.ambient.tasks;
    let task = tasks.spawn(admission::carried(work));
    task.await.map_err(|error| Error::internal(doing, error))?
}

//! How canonical routes answer: what succeeded as it is, what failed as a problem (RFC 9457), and
//! that a client that goes away interrupts nothing. And what members of many requests must be.

use std::future::Future;

use axum::http::StatusCode;

use crate::{
    db::admission,
    domain::{Error, Result},
    http::{
        HttpState,
        answer::Answer,
        error,
        extract::{Incoming, wrong},
    },
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

/// As [`in_own_task`], for work of which there is nothing to say.
///
/// # Errors
/// As [`in_own_task`].
pub(in crate::http) async fn done_in_own_task(
    state: &HttpState,
    doing: &'static str,
    work: impl Future<Output = Result<()>> + Send + 'static,
) -> Result<Answer> {
    let work = async move {
        work.await?;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    };
    in_own_task(state, doing, work).await
}

/// The name of a thing, for people.
///
/// # Errors
/// `VALIDATION_FAILED` unless it has 1 to 200 characters, none of which controls how others are shown.
pub(in crate::http) fn checked_name(name: String) -> Result<String> {
    let shown = !name.trim().is_empty() && !name.chars().any(controls);
    if shown && name.chars().count() <= 200 {
        return Ok(name);
    }
    let message = "must be 1 to 200 characters, none of them a control character";
    Err(wrong("/name", "length", message))
}

/// Control characters, and those that turn the direction of text (UAX 9, table 3): in a list or a log
/// they would show something else than what is there.
fn controls(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

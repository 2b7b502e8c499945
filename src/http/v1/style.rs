//! How canonical routes answer: what succeeded as it is, what failed as a problem (RFC 9457). And
//! what members of many requests must be.

use crate::{
    domain::Result,
    http::{
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

//! How canonical routes answer: what succeeded as it is, what failed as a problem (RFC 9457).

use crate::{
    domain::Result,
    http::{answer::Answer, error, extract::Incoming},
};

/// The answer to a canonical request.
pub(in crate::http) fn finish(incoming: &Incoming, result: Result<Answer>) -> Answer {
    result.unwrap_or_else(|error| {
        error::problem(&error, &incoming.context.request_id, incoming.uri.path())
    })
}

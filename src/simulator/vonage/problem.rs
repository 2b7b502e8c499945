//! Vonage's error body: `{"type","title","detail","instance"}`, and `invalid_parameters` where a
//! request is wrong. There are no codes.
//!
//! Source: the shared errors of Vonage's API descriptions.

use serde_json::json;

use crate::simulator::listener::Reply;

/// A request that lacks something or has it wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) parameter: &'static str,
    reason: &'static str,
}

impl Problem {
    pub(super) fn new(parameter: &'static str, reason: &'static str) -> Self {
        Self { parameter, reason }
    }

    pub(super) fn into_reply(self) -> Reply {
        let mut parameters = serde_json::Map::new();
        parameters.insert(self.parameter.to_owned(), self.reason.into());
        let body = json!({
            "type": "https://developer.nexmo.com/api-errors#invalid-parameter",
            "error_title": "Invalid Parameter",
            "invalid_parameters": parameters,
        });
        Reply::json(400, &body)
    }
}

/// The answer that goes with a status by itself.
pub(super) fn usual(status: u16) -> Reply {
    let (kind, title, detail) = match status {
        401 => (
            "unauthorized",
            "Unauthorized",
            "You did not provide correct credentials.",
        ),
        403 => (
            "forbidden",
            "Forbidden",
            "Your account does not have permission to do this.",
        ),
        404 => (
            "not-found",
            "Not Found",
            "The call does not exist, or you do not have access",
        ),
        405 => (
            "wrong-verb",
            "Request method not allowed",
            "Request method not supported",
        ),
        400 | 422 => ("bad-request", "Bad Request", "The request is invalid"),
        429 => (
            "throttled",
            "Rate Limit Hit",
            "Please wait, then retry your request",
        ),
        _ => (
            "internal-error",
            "Internal Error",
            "There was an error processing your request",
        ),
    };
    let body = json!({
        "type": format!("https://developer.nexmo.com/api-errors#{kind}"),
        "title": title,
        "detail": detail,
        "instance": "797a8f199c45014ab7b08bfe9cc1c12c",
    });
    Reply::json(status, &body)
}

/// Gives `reply`, which has no body, the one that goes with its status.
pub(super) fn with_usual_body(reply: Reply) -> Reply {
    if reply.status < 400 {
        return reply;
    }
    let mut with_body = usual(reply.status);
    with_body.headers.extend(reply.headers);
    with_body
}

//! Telnyx's error body: `{"errors":[{"code","title","detail","source"?}]}`, codes as strings.
//!
//! Source: the examples in Telnyx's API description.

use serde_json::{Value, json};

use crate::simulator::listener::Reply;

/// A refusal: Telnyx's code, its name, and what it says of this request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    title: &'static str,
    detail: String,
    /// The member of the request that is wrong, as a JSON pointer.
    pointer: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            code,
            title,
            detail,
            pointer: None,
        }
    }

    pub(super) fn at(mut self, pointer: &'static str) -> Self {
        self.pointer = Some(pointer);
        self
    }

    pub(super) fn into_reply(self, status: u16) -> Reply {
        Reply::json(status, &self.body())
    }

    fn body(&self) -> Value {
        let mut error = json!({ "code": self.code, "title": self.title, "detail": self.detail });
        if let (Some(pointer), Some(members)) = (self.pointer, error.as_object_mut()) {
            members.insert("source".to_owned(), json!({ "pointer": pointer }));
        }
        json!({ "errors": [error] })
    }
}

pub(super) fn call_has_ended() -> Problem {
    let detail = "This call is no longer active and can't receive commands.";
    Problem::new("90018", "Call has already ended", detail)
}

pub(super) fn invalid_call_control_id() -> Problem {
    let detail = "The call_control_id provided was not valid.";
    Problem::new("90015", "Invalid Call Control ID", detail).at("/call_control_id")
}

pub(super) fn not_json() -> Problem {
    let detail = "The request body is not a JSON object of the documented members.";
    Problem::new("10015", "Bad Request", detail)
}

/// The answer that goes with a status by itself.
pub(super) fn usual(status: u16) -> Reply {
    usual_problem(status).into_reply(status)
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

fn usual_problem(status: u16) -> Problem {
    match status {
        401 => Problem::new("10009", "Authentication failed", "Authentication failed"),
        403 => Problem::new("10010", "Authorization failed", "Not authorized"),
        404 => Problem::new("10005", "Resource not found", "The resource was not found"),
        405 => Problem::new("10008", "Method not allowed", "Method not allowed"),
        // Not that the call is over, which would have to be true.
        400 | 422 => not_json(),
        429 => Problem::new("10011", "Too many requests", "Too many requests"),
        503 => Problem::new("10007", "Service unavailable", "Service unavailable"),
        _ => Problem::new("10007", "Internal server error", "Internal server error"),
    }
}

//! Twilio's error body: `{"code","message","more_info","status"}`.
//!
//! Source: the error dictionary at <https://www.twilio.com/docs/api/errors> and recorded answers.

use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::simulator::listener::Reply;

/// A refusal: Twilio's code, and the text for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: u32,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    pub(super) fn into_reply(self, status: u16) -> Reply {
        Reply::json(status, &self.body(status))
    }

    fn body(&self, status: u16) -> Value {
        let Self { code, message } = self;
        json!({
            "code": code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
            "status": status,
        })
    }
}

pub(super) fn bad_request(code: u32, message: &str) -> Reply {
    Problem::new(code, message).into_reply(400)
}

pub(super) fn unauthorized() -> Reply {
    let challenge = HeaderValue::from_static("Basic realm=\"Twilio API\"");
    usual(401, "")
        .into_reply(401)
        .with_header(WWW_AUTHENTICATE, challenge)
}

pub(super) fn not_found(path: &str) -> Reply {
    usual(404, path).into_reply(404)
}

pub(super) fn method_not_allowed() -> Reply {
    usual(405, "").into_reply(405)
}

pub(super) fn unsupported_media_type() -> Reply {
    usual(415, "").into_reply(415)
}

/// Gives an error of a bare status the body that Twilio sends with it; a success stays empty.
pub(super) fn with_usual_body(reply: Reply, path: &str) -> Reply {
    if reply.status < 400 {
        return reply;
    }
    let mut with_body = usual(reply.status, path).into_reply(reply.status);
    with_body.headers.extend(reply.headers);
    with_body
}

fn usual(status: u16, path: &str) -> Problem {
    let message = match status {
        401 => return Problem::new(20003, "Authenticate"),
        404 => format!("The requested resource {path} was not found"),
        405 => return Problem::new(20004, "Method not allowed"),
        415 => "Unsupported Media Type".to_owned(),
        429 => "Too Many Requests".to_owned(),
        500 => "Internal Server Error".to_owned(),
        503 => "Service Unavailable".to_owned(),
        _ => format!("HTTP status {status}"),
    };
    Problem::new(20000 + u32::from(status), message)
}

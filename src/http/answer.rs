//! An answer before it is written: status, body, and the few headers that ours have.
//!
//! No cache keeps any of them: some carry a token or a secret (RFC 6749 section 5.1), what a call is
//! changes while it is read, and whoever adds an operation need not think of it.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use time::Duration;

use crate::{app::idempotency::StoredAnswer, domain::Error};

const JSON: &str = "application/json";
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    content_type: &'static str,
    body: String,
    location: Option<String>,
    retry_after: Option<Duration>,
    replayed: bool,
    /// The page that may read the answer although it is of another origin.
    page: Option<HeaderValue>,
}

impl Answer {
    /// A JSON answer.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::of(status, JSON, body)
    }

    /// A JSON answer that is written already.
    pub(super) fn written_json(status: StatusCode, body: String) -> Self {
        Self {
            body,
            ..Self::empty(status)
        }
    }

    /// RFC 9457.
    pub(super) fn problem(status: StatusCode, body: &impl Serialize) -> Self {
        Self::of(status, PROBLEM_JSON, body)
    }

    fn of(status: StatusCode, content_type: &'static str, body: &impl Serialize) -> Self {
        // Our bodies are structs of strings, numbers and JSON values: writing them cannot fail.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self {
            status,
            content_type,
            body,
            location: None,
            retry_after: None,
            replayed: false,
            page: None,
        }
    }

    /// A text that is no JSON, such as TwiML.
    pub(super) fn text(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self {
            content_type,
            body,
            ..Self::empty(status)
        }
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            content_type: JSON,
            body: String::new(),
            location: None,
            retry_after: None,
            replayed: false,
            page: None,
        }
    }

    /// Lets a page of another origin read the answer.
    #[must_use]
    pub(super) fn readable_by(mut self, page: Option<HeaderValue>) -> Self {
        self.page = page;
        self
    }

    #[must_use]
    pub(super) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    #[must_use]
    pub(super) fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    #[must_use]
    pub(super) fn retry_like(self, error: &Error) -> Self {
        self.retry_after(error.retry_after)
    }

    /// For an idempotency key.
    pub(super) fn stored(&self) -> StoredAnswer {
        StoredAnswer {
            status: self.status.as_u16(),
            content_type: self.content_type.to_owned(),
            location: self.location.clone(),
            body: self.body.clone(),
        }
    }

    /// What was answered before to the same key.
    pub(super) fn replayed(stored: StoredAnswer) -> Self {
        let problem = stored.content_type == PROBLEM_JSON;
        Self {
            status: StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK),
            content_type: if problem { PROBLEM_JSON } else { JSON },
            body: stored.body,
            location: stored.location,
            retry_after: None,
            replayed: true,
            page: None,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let has_body = !self.body.is_empty();
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // RFC 9111 section 5.2.2.5.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if has_body {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(self.content_type),
            );
        }
        let location = self
            .location
            .and_then(|path| HeaderValue::from_str(&path).ok());
        if let Some(location) = location {
            headers.insert(header::LOCATION, location);
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait
                .whole_milliseconds()
                .max(0)
                .unsigned_abs()
                .div_ceil(1000)
                .max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(page) = self.page {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        if self.replayed {
            let name = HeaderName::from_static("idempotent-replayed");
            headers.insert(name, HeaderValue::from_static("true"));
        }
        response
    }
}

//! What the tests of the bridges have in common: accounts, calls, and answers as they arrive.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use crate::{
    domain::{
        CallId, OrganizationId, ProviderAccountId, agent::Answer as Says, call::Limits,
        phone::Phone, provider::ProviderKind,
    },
    outbound::{Answer, Failure},
    providers::{Account, Credentials, DialLookup, DialRequest},
};

pub(super) const CALL: CallId = CallId(uuid::Uuid::from_u128(7));
pub(super) const PROXY_PAGE: &str = "<html><body><h1>404 Not Found</h1>\r\n<hr>nginx</body></html>";

pub(super) fn account(external_id: &str, credentials: &Value) -> Account {
    let credentials = Credentials::parse(ProviderKind::Sip, credentials.to_string().as_bytes());
    Account {
        id: ProviderAccountId(uuid::Uuid::nil()),
        organization_id: OrganizationId(uuid::Uuid::nil()),
        kind: ProviderKind::Sip,
        external_id: external_id.to_owned(),
        api_base_url: Some("https://pbx.example/base/".to_owned()),
        credentials: credentials.unwrap(),
    }
}

/// Numbers, and what is said.
pub(super) struct Wanted {
    from: Phone,
    to: Phone,
    answer: Says,
}

impl Wanted {
    pub(super) fn say() -> Self {
        Self::new(Says::Say {
            text: "Hello".to_owned(),
        })
    }

    pub(super) fn stream(url: &str) -> Self {
        Self::new(Says::Stream {
            url: url.to_owned(),
        })
    }

    fn new(answer: Says) -> Self {
        Self {
            from: "+15550130".parse().unwrap(),
            to: "+15550101".parse().unwrap(),
            answer,
        }
    }

    pub(super) fn dial(&self) -> DialRequest<'_> {
        DialRequest {
            call_id: CALL,
            from: &self.from,
            to: &self.to,
            answer: &self.answer,
            limits: Limits {
                max_duration_seconds: 1800,
                ring_timeout_seconds: 45,
            },
            callback_url: "https://onhook.example/callbacks/sip/1/calls/7".to_owned(),
        }
    }

    pub(super) fn lookup<'a>(&'a self, known: &'a [String]) -> DialLookup<'a> {
        DialLookup {
            call_id: CALL,
            from: &self.from,
            to: &self.to,
            since: "2026-01-01T00:00:01Z".parse().unwrap(),
            until: "2026-01-01T00:00:11Z".parse().unwrap(),
            known,
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what is heard may also be that there is no answer"
)]
pub(super) fn heard(status: u16, body: impl Into<Value>) -> Result<Answer, Failure> {
    let body = match body.into() {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(Answer {
        status,
        headers: HeaderMap::new(),
        body: Bytes::from(body),
    })
}

/// An answer that says when to ask again.
pub(super) fn later(status: u16, seconds: &'static str) -> Result<Answer, Failure> {
    let mut answer = heard(status, Value::Null)?;
    let name = HeaderName::from_static("retry-after");
    answer
        .headers
        .insert(name, HeaderValue::from_static(seconds));
    Ok(answer)
}

pub(super) fn not_sent() -> Result<Answer, Failure> {
    Err(Failure::NotSent("refused".to_owned()))
}

pub(super) fn lost() -> Result<Answer, Failure> {
    Err(Failure::Unknown("timed out".to_owned()))
}

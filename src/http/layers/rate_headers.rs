//! What an answer says of its caller's quota: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10), and the older `X-RateLimit-*`.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::app::rates::{Standing, WINDOW};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Adds the headers.
pub(super) fn insert(headers: &mut HeaderMap, standing: &Standing) {
    let Standing {
        of,
        quota,
        remaining,
        whole_in,
    } = standing;
    let reset = whole_in.as_millis().div_ceil(1000);
    let mut policy = String::with_capacity(48);
    let mut rate = String::with_capacity(48);
    let written = write!(policy, "\"{of}\";q={quota};w={}", WINDOW.as_secs())
        .and_then(|()| write!(rate, "\"{of}\";r={remaining};t={reset}"));
    if written.is_err() {
        return;
    }
    for (name, text) in [(POLICY, policy), (RATE_LIMIT, rate)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
    headers.insert(LIMIT, HeaderValue::from(*quota));
    headers.insert(REMAINING, HeaderValue::from(*remaining));
    let reset = u64::try_from(reset).unwrap_or(u64::MAX);
    headers.insert(RESET, HeaderValue::from(reset));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn all_five_say_the_same() {
        let standing = Standing {
            of: "token",
            quota: 6000,
            remaining: 5999,
            whole_in: Duration::from_millis(10),
        };
        let mut headers = HeaderMap::new();
        insert(&mut headers, &standing);
        for (name, value) in [
            ("ratelimit-policy", "\"token\";q=6000;w=60"),
            ("ratelimit", "\"token\";r=5999;t=1"),
            ("x-ratelimit-limit", "6000"),
            ("x-ratelimit-remaining", "5999"),
            ("x-ratelimit-reset", "1"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
    }
}

//! Headers that a receiver asks for, beside ours: mostly to get past its own gate.

use std::collections::BTreeMap;

/// How many an endpoint may have, and how long a name and a value may be.
pub const MAX_HEADERS: usize = 20;
pub const MAX_NAME_CHARS: usize = 100;
pub const MAX_VALUE_CHARS: usize = 1000;

/// Names that say how the message is to be read or who sends it: they are ours, or the connection's
/// (RFC 9110 sections 7.6.1 and 8.3, RFC 9112 section 6).
const OURS: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "date",
    "accept-encoding",
    "user-agent",
];

/// Prefixes of such names.
const OUR_PREFIXES: [&str; 3] = ["webhook-", "proxy-", "sec-"];

/// The headers of an endpoint, by lower-case name.
pub type Headers = BTreeMap<String, String>;

/// What is wrong with the headers: which one, and why.
pub fn problem(headers: &Headers) -> Option<(String, &'static str)> {
    if headers.len() > MAX_HEADERS {
        return Some((String::new(), "must be at most 20"));
    }
    headers.iter().find_map(|(name, value)| {
        let why = name_problem(name).or_else(|| value_problem(value))?;
        Some((name.clone(), why))
    })
}

fn name_problem(name: &str) -> Option<&'static str> {
    // `token` of RFC 9110 section 5.6.2.
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.bytes().all(token) {
        return Some("must be the name of a header, at most 100 characters long");
    }
    let lower = name.to_ascii_lowercase();
    let ours = OURS.contains(&lower.as_str())
        || OUR_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    ours.then_some("is a header that only Onhook sets")
}

fn value_problem(value: &str) -> Option<&'static str> {
    let visible = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (value.len() > MAX_VALUE_CHARS || !visible || value.trim() != value)
        .then_some("must be at most 1000 visible ASCII characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Headers {
        [(name.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn a_receivers_headers_cannot_change_what_the_message_is() {
        for name in ["X-Api-Key", "Authorization", "cf-access-client-secret"] {
            assert_eq!(problem(&of(name, "a b=c")), None, "{name}");
        }
        for (name, value) in [
            ("Host", "x"),
            ("CONTENT-LENGTH", "1"),
            ("Transfer-Encoding", "chunked"),
            ("connection", "close"),
            ("Webhook-Signature", "v1,AAAA"),
            ("webhook-anything", "x"),
            ("proxy-authorization", "x"),
            ("", "x"),
            ("x y", "x"),
            ("x:", "x"),
            ("x\r\nhost", "x"),
            ("x-key", "a\r\nhost: b"),
            ("x-key", "a\0"),
            ("x-key", "ü"),
            ("x-key", " padded"),
        ] {
            assert!(problem(&of(name, value)).is_some(), "{name:?}: {value:?}");
        }
        let many = (0..21).map(|n| (format!("x-{n}"), String::new())).collect();
        assert!(problem(&many).is_some());
        assert!(problem(&of("x", &"v".repeat(1001))).is_some());
        assert!(problem(&of(&"x".repeat(101), "v")).is_some());
    }
}

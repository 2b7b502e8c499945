//! The rules of a customer's receiver.

use crate::domain::call::FactType;

pub const DEFAULT_TIMEOUT_SECONDS: i32 = 15;
pub const MIN_TIMEOUT_SECONDS: i32 = 5;
pub const MAX_TIMEOUT_SECONDS: i32 = 120;

/// The longest URL that is taken.
pub const MAX_URL_CHARS: usize = 2000;

/// Why a URL cannot be a receiver's. Addresses are checked at every connection, not here.
pub fn url_problem(text: &str, allow_http: bool) -> Option<&'static str> {
    if text.len() > MAX_URL_CHARS {
        return Some("must be at most 2000 characters long");
    }
    // A URL's parser drops some of them; lists and logs would show them.
    let visible = |c: char| c.is_ascii_graphic() || c.is_alphanumeric();
    if !text.chars().all(visible) {
        return Some("must not contain white space or control characters");
    }
    let Ok(url) = url::Url::parse(text) else {
        return Some("must be an absolute URL, for example https://example.com/hooks");
    };
    if url.scheme() != "https" && !(allow_http && url.scheme() == "http") {
        return Some("must be an https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not carry credentials");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some("must name a host");
    }
    None
}

/// Whether a receiver that asked for `events` (empty: all) gets facts of this type.
pub fn wants(events: &[String], fact: FactType) -> bool {
    events.is_empty() || events.iter().any(|name| name == fact.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_https_urls_without_credentials() {
        assert_eq!(url_problem("https://example.com/hooks?a=b", false), None);
        assert_eq!(url_problem("http://127.0.0.1:9000/", true), None);
        for bad in [
            "http://example.com",
            "ftp://x",
            "/hooks",
            "https://u:p@example.com",
            "",
            "https://",
            "https://exam\nple.com",
            " https://example.com",
            "https://example.com/\u{202e}",
        ] {
            assert!(url_problem(bad, false).is_some(), "{bad}");
        }
    }
}

//! The rules of a customer's receiver.

use time::Duration;

use super::event::EventType;

pub const DEFAULT_TIMEOUT_SECONDS: i32 = 15;
pub const MIN_TIMEOUT_SECONDS: i32 = 5;
pub const MAX_TIMEOUT_SECONDS: i32 = 120;

/// How long a receiver's description may be.
pub const MAX_DESCRIPTION_CHARS: usize = 500;

/// A receiver that failed for this long, without one success, is disabled at its next failure.
pub const DISABLE_AFTER: Duration = Duration::days(5);

/// How long the previous secret signs beside the new one, unless somebody asks for another time.
pub const DEFAULT_OVERLAP_SECONDS: i64 = 24 * 3600;
pub const MAX_OVERLAP_SECONDS: i64 = 7 * 24 * 3600;

/// How events reach a receiver.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, sqlx::Type,
)]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Channel {
    /// A signed POST to its URL.
    Webhook,
    /// A message to a chat.
    Telegram,
    /// A message over a websocket that we open.
    Gateway,
}

impl Channel {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

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

/// A receiver's server as others may be told: without credentials, path and query, any of which may be
/// a secret.
pub fn server(url: &str) -> String {
    let parsed = url::Url::parse(url);
    parsed.map_or_else(
        |_| "a receiver".to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

/// Why a name in a receiver's list of events cannot be taken.
pub fn event_problem(name: &str) -> Option<&'static str> {
    name.parse::<EventType>()
        .is_err()
        .then_some("is not an event type of ours; see the list of events in the documentation")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_others_are_told_the_server_alone() {
        for (url, told) in [
            (
                "https://u:p@example.com:8443/hooks/s3cret?key=s3cret",
                "https://example.com:8443",
            ),
            ("wss://example.com/s3cret", "wss://example.com"),
            ("s3cret", "a receiver"),
        ] {
            assert_eq!(server(url), told);
        }
    }

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

//! An agent's settings: what the callee hears, the limits of its calls, whom it may call.

use serde::{Deserialize, Serialize};

use super::{call::Limits, error::FieldProblem, phone::Phone};

/// The longest sentence that an agent says: the least of what the providers take.
pub const MAX_SAY_CHARS: usize = 3000;

/// The most prefixes that an agent's destinations are restricted to.
pub const MOST_DESTINATIONS: usize = 500;

/// What a call of this agent does once it is answered, its default limits, and whom it may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSettings {
    pub answer: Answer,
    pub limits: Limits,
    /// How the only numbers that it may call begin, in E.164 (`+49`, `+1212`); `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_destinations: Option<Vec<String>>,
}

/// What the callee hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
#[schema(as = AgentAnswer)]
pub enum Answer {
    /// A sentence, spoken by the provider; then the call is over. Where the provider has the
    /// conversation itself, its model's instructions.
    Say { text: String },
    /// Both directions of audio go to a websocket of the customer's.
    Stream { url: String },
}

impl Default for Answer {
    fn default() -> Self {
        Self::Say {
            text: "Hello. This call is carried by Onhook.".to_owned(),
        }
    }
}

impl AgentSettings {
    /// Whether the agent may call `to`.
    pub fn may_call(&self, to: &Phone) -> bool {
        let allowed = self.allowed_destinations.as_ref();
        allowed.is_none_or(|prefixes| {
            prefixes
                .iter()
                .any(|prefix| to.reveal().starts_with(prefix.as_str()))
        })
    }

    /// What is wrong with settings that somebody asks for, each by its place. `allow_loopback`:
    /// whether a websocket on this machine may be in clear.
    pub fn problems(&self, allow_loopback: bool) -> Vec<FieldProblem> {
        let mut found = Vec::new();
        let mut wrong = |pointer: &str, code: &'static str, message: &str| {
            found.push(FieldProblem {
                pointer: pointer.to_owned(),
                code,
                message: message.to_owned(),
            });
        };
        match &self.answer {
            Answer::Say { text } => {
                if !(1..=MAX_SAY_CHARS).contains(&text.trim().chars().count()) {
                    wrong(
                        "/answer/text",
                        "length",
                        "must be 1 to 3000 characters long",
                    );
                }
            }
            Answer::Stream { url } => {
                if let Some(message) = stream_problem(url, allow_loopback) {
                    wrong("/answer/url", "url", message);
                }
            }
        }
        if !(1..=86_400).contains(&self.limits.max_duration_seconds) {
            let pointer = "/limits/max_duration_seconds";
            wrong(pointer, "range", "must be from 1 to 86400");
        }
        if !(5..=600).contains(&self.limits.ring_timeout_seconds) {
            let pointer = "/limits/ring_timeout_seconds";
            wrong(pointer, "range", "must be from 5 to 600");
        }
        let prefixes = self.allowed_destinations.as_deref().unwrap_or_default();
        if prefixes.len() > MOST_DESTINATIONS {
            let message = "must hold at most 500 prefixes";
            wrong("/allowed_destinations", "length", message);
        }
        for (at, prefix) in prefixes.iter().enumerate() {
            if !is_prefix(prefix) {
                let pointer = format!("/allowed_destinations/{at}");
                let message = "must be the beginning of E.164 numbers, for example +49";
                wrong(&pointer, "invalid", message);
            }
        }
        found
    }
}

/// Whether numbers in E.164 can begin so.
fn is_prefix(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

/// Why a URL cannot be where audio goes. Addresses are the provider's business: it connects.
fn stream_problem(text: &str, allow_loopback: bool) -> Option<&'static str> {
    if text.len() > 2000 {
        return Some("must be at most 2000 characters long");
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Some("must be visible ASCII characters");
    }
    let Ok(url) = url::Url::parse(text) else {
        return Some("must be an absolute URL, for example wss://example.com/audio");
    };
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Some("must name a host"),
    };
    if url.scheme() != "wss" && !(url.scheme() == "ws" && local && allow_loopback) {
        return Some("must be a wss URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not carry credentials");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(answer: Answer, destinations: Option<&[&str]>) -> AgentSettings {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        AgentSettings {
            answer,
            limits: Limits::default(),
            allowed_destinations: destinations.map(texts),
        }
    }

    #[test]
    fn an_agent_calls_where_it_may_and_anywhere_when_nothing_is_said() {
        for (destinations, to, may) in [
            (None, "+4930123456", true),
            (Some(&["+49", "+1212"][..]), "+4930123456", true),
            (Some(&["+49", "+1212"][..]), "+12125550100", true),
            (Some(&["+49", "+1212"][..]), "+13105550100", false),
            (Some(&["+49"][..]), "+499", true),
            (Some(&[][..]), "+4930123456", false),
        ] {
            let to: Phone = to.parse().unwrap();
            let settings = settings(Answer::default(), destinations);
            assert_eq!(settings.may_call(&to), may, "{destinations:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let say = |text: &str| Answer::Say {
            text: text.to_owned(),
        };
        let stream = |url: &str| Answer::Stream {
            url: url.to_owned(),
        };
        let long = "x".repeat(MAX_SAY_CHARS + 1);
        for (answer, destinations, expected) in [
            (say("Hello"), None, &[][..]),
            (stream("wss://example.com/a?b=c"), None, &[]),
            (stream("ws://127.0.0.1:9000/"), None, &[]),
            (say(" "), None, &["/answer/text"]),
            (say(&long), None, &["/answer/text"]),
            (stream("ws://example.com/"), None, &["/answer/url"]),
            (stream("https://example.com/"), None, &["/answer/url"]),
            (stream("wss://u:p@example.com/"), None, &["/answer/url"]),
            (stream("wss://exam\nple.com/"), None, &["/answer/url"]),
            (stream("/audio"), None, &["/answer/url"]),
            (
                say("x"),
                Some(&["+49", "49", "+", "+0", "+1-2", "+1234567890123456"][..]),
                &[
                    "/allowed_destinations/1",
                    "/allowed_destinations/2",
                    "/allowed_destinations/3",
                    "/allowed_destinations/4",
                    "/allowed_destinations/5",
                ],
            ),
        ] {
            let settings = settings(answer, destinations);
            let found = settings.problems(true).into_iter();
            let pointers: Vec<String> = found.map(|problem| problem.pointer).collect();
            assert_eq!(pointers, expected, "{settings:?}");
        }
        let clear = settings(stream("ws://127.0.0.1:9000/"), None);
        assert_eq!(clear.problems(false).len(), 1);
    }

    #[test]
    fn settings_that_were_stored_before_are_read() {
        let stored = serde_json::json!({"answer": {"mode": "say", "text": "Hi"}});
        let read: AgentSettings = serde_json::from_value(stored).unwrap();
        assert_eq!(read.allowed_destinations, None);
        assert_eq!(read.limits, Limits::default());
    }
}

//! Messages to a Telegram chat (<https://core.telegram.org/bots/api#sendmessage>), and what the Bot
//! API's answers mean.
//!
//! The Bot API has no idempotency key: a message whose answer was lost may be there, and is sent again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::Duration;

use super::EventTold;
use crate::domain::call::FactType;

/// The Bot API's own host.
pub const API: &str = "https://api.telegram.org";

/// The most characters of a message after its markup was read.
const MOST_CHARS: usize = 4096;
/// Of one text of others in it.
const MOST_OF_ONE: usize = 1000;

/// Where a notice goes and how it looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = TelegramSettings)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The chat: a number, or `@name` of a public channel.
    #[schema(example = "-1001234567890")]
    pub chat_id: String,
    /// The topic of a forum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_thread_id: Option<i64>,
    /// Without a sound.
    #[serde(default)]
    pub silent: bool,
    #[serde(default)]
    pub format: Format,
}

/// The markup of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = TelegramFormat)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Html,
    MarkdownV2,
}

impl Format {
    fn parse_mode(self) -> &'static str {
        match self {
            Self::Html => "HTML",
            Self::MarkdownV2 => "MarkdownV2",
        }
    }

    /// The text with nothing in it that is read as markup.
    pub fn escaped(self, text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            match (self, character) {
                (Self::Html, '&') => escaped.push_str("&amp;"),
                (Self::Html, '<') => escaped.push_str("&lt;"),
                (Self::Html, '>') => escaped.push_str("&gt;"),
                (Self::Html, '"') => escaped.push_str("&quot;"),
                // All that the page names, and the backslash itself.
                (
                    Self::MarkdownV2,
                    '_' | '*' | '[' | ']' | '(' | ')' | '~' | '`' | '>' | '#' | '+' | '-' | '='
                    | '|' | '{' | '}' | '.' | '!' | '\\',
                ) => {
                    escaped.push('\\');
                    escaped.push(character);
                }
                (_, character) if character.is_control() => escaped.push(' '),
                (_, character) => escaped.push(character),
            }
        }
        escaped
    }

    fn bold(self, text: &str) -> String {
        let text = self.escaped(text);
        match self {
            Self::Html => format!("<b>{text}</b>"),
            Self::MarkdownV2 => format!("*{text}*"),
        }
    }
}

/// Why settings cannot be a notice's.
pub fn settings_problem(settings: &Settings) -> Option<&'static str> {
    let chat = settings.chat_id.as_str();
    let number = chat.strip_prefix('-').unwrap_or(chat);
    let is_number =
        !number.is_empty() && number.len() <= 19 && number.bytes().all(|b| b.is_ascii_digit());
    let is_name = chat.strip_prefix('@').is_some_and(|name| {
        (4..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    });
    (!is_number && !is_name).then_some("must be the number of a chat, or @name of a channel")
}

/// Why a text cannot be a bot's token. It becomes a part of a URL's path.
pub fn token_problem(token: &str) -> Option<&'static str> {
    let (id, secret) = token.split_once(':').unwrap_or_default();
    let digits = (3..=20).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let secret = (20..=100).contains(&secret.len()) && secret.bytes().all(plain);
    (!digits || !secret).then_some(
        "must be a bot's token as BotFather gives it: digits, a colon, letters and digits",
    )
}

/// The body of `sendMessage` that tells of an event; `None`: nothing is told of it.
pub fn message(settings: &Settings, kind: FactType, told: &EventTold) -> Option<Value> {
    let (call, format) = (&told.call, settings.format);
    let line = |name: &str, text: &str| {
        let text: String = text.chars().take(MOST_OF_ONE).collect();
        format!("{}: {}", format.escaped(name), format.escaped(&text))
    };
    let mut lines = match kind {
        FactType::Started => vec![format.bold("Call started")],
        FactType::Ended => vec![format.bold(&format!("Call {}", outcome(&call.status)))],
        FactType::Connected => vec![format.bold("Call answered")],
        FactType::Error => vec![format.bold("Call in trouble")],
        FactType::Ringing | FactType::EndRequested | FactType::DidNotConnect | FactType::Billed => {
            return None;
        }
    };
    lines.push(line("Call", &call.id));
    lines.push(line(
        if call.direction == "inbound" {
            "From"
        } else {
            "To"
        },
        call.other_party(),
    ));
    if kind == FactType::Started && !call.prompt().is_empty() {
        lines.push(line("Prompt", call.prompt()));
    }
    if kind == FactType::Ended {
        let seconds = call.duration().as_seconds_f64();
        lines.push(line("Duration", &format!("{seconds:.1} s")));
        lines.push(line("Outcome", &call.status));
        lines.push(line("Summary", &call.summary()));
    }
    if let Some(error) = &told.error {
        lines.push(line(&error.code, &error.message));
    }
    Some(body(settings, &lines.join("\n")))
}

/// The body of `sendMessage` that shows that the channel works.
pub fn test_message(settings: &Settings) -> Value {
    let text = "A test: notices of calls arrive here.";
    body(settings, &settings.format.escaped(text))
}

fn outcome(status: &str) -> String {
    match status {
        "completed" => "ended".to_owned(),
        other => format!("ended: {other}"),
    }
}

fn body(settings: &Settings, text: &str) -> Value {
    debug_assert!(
        text.chars().count() <= 2 * MOST_CHARS,
        "before the markup is read"
    );
    let mut body = json!({
        "chat_id": settings.chat_id, "text": text, "parse_mode": settings.format.parse_mode(),
        "disable_notification": settings.silent, "link_preview_options": {"is_disabled": true},
    });
    if let (Some(thread), Some(body)) = (settings.message_thread_id, body.as_object_mut()) {
        body.insert("message_thread_id".to_owned(), json!(thread));
    }
    body
}

/// What an answer of the Bot API means for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Not now; after as long as is said at least.
    Again(Option<Duration>),
    /// This message will never be taken.
    Never,
    /// No message will be: the bot was blocked or put out of the chat.
    Blocked,
    /// The group has another number now.
    Moved(String),
}

/// The answer's members that matter.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    retry_after: Option<i64>,
    migrate_to_chat_id: Option<i64>,
}

/// Reads an answer. One that is not the Bot API's, a proxy's page for instance, decides nothing.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    let said: Option<Said> = serde_json::from_slice(body).ok();
    let Some(said) = said else {
        return Verdict::Again(None);
    };
    let wait = said.parameters.retry_after.filter(|seconds| *seconds > 0);
    match status {
        200..300 if said.ok => Verdict::Delivered,
        403 => Verdict::Blocked,
        400 => match said.parameters.migrate_to_chat_id {
            Some(chat) => Verdict::Moved(chat.to_string()),
            None => Verdict::Never,
        },
        // 401 and 404 are of the token, which may be mended; 429 says when.
        _ => Verdict::Again(wait.map(Duration::seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::samples::ended;

    fn settings(format: Format) -> Settings {
        Settings {
            chat_id: "-100123".to_owned(),
            message_thread_id: Some(7),
            silent: true,
            format,
        }
    }

    fn text(kind: FactType, data: &Value, format: Format) -> String {
        let told = EventTold::read(data).expect("of a call");
        let message = message(&settings(format), kind, &told).expect("a message");
        message["text"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn an_end_tells_duration_outcome_and_summary_and_texts_of_others_are_no_markup() {
        assert_eq!(
            text(FactType::Ended, &ended(), Format::Html),
            "<b>Call ended</b>\nCall: a1b2c3d4-e5f6-4890-abcd-ef1234567890\nTo: +15550101\n\
            Duration: 12.3 s\nOutcome: completed\n\
            Summary: ended_by_api by token:1: [asked](http://x) &lt;for&gt;"
        );
        assert_eq!(
            text(FactType::Ended, &ended(), Format::MarkdownV2),
            "*Call ended*\nCall: a1b2c3d4\\-e5f6\\-4890\\-abcd\\-ef1234567890\nTo: \\+15550101\n\
            Duration: 12\\.3 s\nOutcome: completed\n\
            Summary: ended\\_by\\_api by token:1: \\[asked\\]\\(http://x\\) <for\\>"
        );
        assert_eq!(
            text(FactType::Started, &ended(), Format::Html),
            "<b>Call started</b>\nCall: a1b2c3d4-e5f6-4890-abcd-ef1234567890\nTo: +15550101\n\
            Prompt: Say &lt;b&gt;hi&lt;/b&gt; &amp; *bye*_"
        );
    }

    #[test]
    fn the_body_names_chat_topic_and_markup() {
        let told = EventTold::read(&ended()).expect("of a call");
        let body =
            message(&settings(Format::MarkdownV2), FactType::Started, &told).expect("a body");
        assert_eq!(
            (
                &body["chat_id"],
                &body["message_thread_id"],
                &body["parse_mode"]
            ),
            (&json!("-100123"), &json!(7), &json!("MarkdownV2"))
        );
        assert_eq!(body["disable_notification"], true);
        assert_eq!(
            message(&settings(Format::Html), FactType::Ringing, &told),
            None
        );
    }

    #[test]
    fn a_message_is_never_too_long() {
        let mut data = ended();
        let long = "<&>".repeat(50_000);
        data["call"]["metadata"]["prompt"] = json!(long);
        data["call"]["end"]["note"] = json!(long);
        for kind in [FactType::Started, FactType::Ended] {
            let text = text(kind, &data, Format::Html);
            let read = text
                .replace("&lt;", "<")
                .replace("&amp;", "&")
                .replace("&gt;", ">");
            assert!(read.chars().count() <= MOST_CHARS, "{}", read.len());
        }
    }

    #[test]
    fn answers_mean_what_the_bot_api_says() {
        for (status, body, verdict) in [
            (
                200,
                r#"{"ok":true,"result":{"message_id":1}}"#,
                Verdict::Delivered,
            ),
            (200, r#"{"ok":false}"#, Verdict::Again(None)),
            (200, "<html>", Verdict::Again(None)),
            (
                429,
                r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}"#,
                Verdict::Again(Some(Duration::seconds(5))),
            ),
            (
                403,
                r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#,
                Verdict::Blocked,
            ),
            (403, "a proxy's page", Verdict::Again(None)),
            (
                400,
                r#"{"ok":false,"parameters":{"migrate_to_chat_id":-1005}}"#,
                Verdict::Moved("-1005".to_owned()),
            ),
            (
                400,
                r#"{"ok":false,"description":"Bad Request: chat not found"}"#,
                Verdict::Never,
            ),
            (
                401,
                r#"{"ok":false,"error_code":401}"#,
                Verdict::Again(None),
            ),
            (502, r#"{"ok":false}"#, Verdict::Again(None)),
        ] {
            assert_eq!(
                super::verdict(status, body.as_bytes()),
                verdict,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn chats_and_tokens_that_cannot_be_are_refused() {
        for (chat, good) in [
            ("123", true),
            ("-1001234567890", true),
            ("@onhook_calls", true),
            ("", false),
            ("-", false),
            ("@x", false),
            ("12 3", false),
            ("https://t.me/x", false),
        ] {
            let settings = Settings {
                chat_id: chat.to_owned(),
                ..settings(Format::Html)
            };
            assert_eq!(settings_problem(&settings).is_none(), good, "{chat}");
        }
        for (token, good) in [
            ("123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", true),
            ("123456:short", false),
            ("123456", false),
            ("1234:../../AAHdqTcvCH1vGWJxfSeofSAs", false),
            ("x:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw", false),
        ] {
            assert_eq!(token_problem(token).is_none(), good, "{token}");
        }
    }
}

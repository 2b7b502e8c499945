//! Pure: what an agent's callee hears, as TwiML (<https://www.twilio.com/docs/voice/twiml>).
//!
//! The customer's text never becomes markup: it is escaped, and what XML 1.0 cannot hold is left
//! out.

use reqwest::Url;

use crate::{
    domain::{CallId, agent::Answer},
    providers::base_url,
};

/// The most characters that `Twiml` may hold when a call is created.
pub const MAX_CHARS: usize = 4000;

/// Turns an incoming call away with a busy tone of theirs.
pub(super) const REJECTION: &str = "<Response><Reject/></Response>";

/// Whether `answer` can be carried out at all; for when it is saved.
///
/// # Errors
/// What to change, for the agent's owner.
pub fn check(answer: &Answer) -> Result<(), String> {
    // Every call id has the same length.
    render(answer, CallId(uuid::Uuid::nil())).map(drop)
}

/// The document for one call. A stream is told the call's id by a parameter, because its URL
/// takes no query.
///
/// # Errors
/// As for [`check`].
pub(super) fn render(answer: &Answer, call_id: CallId) -> Result<String, String> {
    let document = match answer {
        Answer::Say { text } => {
            let spoken = escape(text);
            if spoken.trim().is_empty() {
                return Err("the sentence to say is empty".to_owned());
            }
            format!("<Response><Say>{spoken}</Say></Response>")
        }
        Answer::Stream { url } => {
            check_stream(url)?;
            let url = escape(url);
            format!(
                "<Response><Connect><Stream url=\"{url}\"><Parameter name=\"call_id\" \
                 value=\"{call_id}\"/></Stream></Connect></Response>"
            )
        }
    };
    let length = document.chars().count();
    if length > MAX_CHARS {
        return Err(format!(
            "the answer takes {length} characters as TwiML; Twilio takes {MAX_CHARS}"
        ));
    }
    Ok(document)
}

fn check_stream(url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|_| "the stream's URL is not a URL".to_owned())?;
    if !base_url::is_safe_websocket(&parsed) {
        return Err("the stream's URL must begin with wss://".to_owned());
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("the stream's URL takes no query and no fragment".to_owned());
    }
    Ok(())
}

/// `text` as character data or as a quoted attribute's value.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| is_xml(*c)) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// XML 1.0 section 2.2, production `Char`.
fn is_xml(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> Result<String, String> {
        let text = text.to_owned();
        render(&Answer::Say { text }, CallId(uuid::Uuid::nil()))
    }

    fn stream(url: &str) -> Result<String, String> {
        let url = url.to_owned();
        render(&Answer::Stream { url }, CallId(uuid::Uuid::nil()))
    }

    #[test]
    fn a_sentence_is_said_and_never_becomes_markup() {
        assert_eq!(
            say("Tom & \"Jerry's\" <3 > 2\u{0}\u{8}\u{1F}\u{FFFE}\n\u{1F600}").unwrap(),
            "<Response><Say>Tom &amp; &quot;Jerry&apos;s&quot; &lt;3 &gt; 2\n\u{1F600}</Say></Response>"
        );
        assert_eq!(
            say("</Say><Dial>+15550100</Dial><Say>").unwrap(),
            "<Response><Say>&lt;/Say&gt;&lt;Dial&gt;+15550100&lt;/Dial&gt;&lt;Say&gt;</Say></Response>"
        );
        assert_eq!(
            say("]]><!--&lt;").unwrap(),
            "<Response><Say>]]&gt;&lt;!--&amp;lt;</Say></Response>"
        );
    }

    #[test]
    fn a_stream_carries_the_calls_id_beside_its_url() {
        assert_eq!(
            stream("wss://agents.example.com/media").unwrap(),
            "<Response><Connect><Stream url=\"wss://agents.example.com/media\"><Parameter \
             name=\"call_id\" value=\"00000000-0000-0000-0000-000000000000\"/></Stream></Connect>\
             </Response>"
        );
        let injected = stream("wss://h.example/\"/></Connect><Dial>&'").unwrap();
        assert_eq!(injected.matches('<').count(), 7, "{injected}");
        assert!(injected.contains("url=\"wss://h.example/&quot;/&gt;&lt;/Connect&gt;"));
    }

    #[test]
    fn what_twilio_would_refuse_is_refused_with_a_reason() {
        let table = [
            (say(&"x".repeat(MAX_CHARS)), "Twilio takes 4000"),
            (say(&"&".repeat(MAX_CHARS / 4)), "Twilio takes 4000"),
            (say(" \u{0} "), "empty"),
            (stream("not a url"), "not a URL"),
            (stream("https://h.example/"), "wss://"),
            (stream("ws://h.example/"), "wss://"),
            (stream("wss://h.example/?a=b"), "no query"),
        ];
        for (result, expected) in table {
            let problem = result.unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
        let longest = "x".repeat(MAX_CHARS - "<Response><Say></Say></Response>".len());
        assert_eq!(say(&longest).unwrap().chars().count(), MAX_CHARS);
        assert_eq!(check(&Answer::default()), Ok(()));
    }
}

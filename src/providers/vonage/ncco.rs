//! Pure: what a call is to do, as their call control object
//! (<https://developer.vonage.com/en/voice/voice-api/ncco-reference>), a JSON list of actions.

use reqwest::Url;
use serde_json::{Value, json};

use crate::{
    domain::{CallId, agent::Answer},
    providers::base_url,
};

/// The longest text of a `talk` action, in characters.
const MAX_CHARS: usize = 1500;

/// What our websocket peers get: 16-bit samples, 16,000 a second, one channel.
const CONTENT_TYPE: &str = "audio/l16;rate=16000";

/// Ends the call: a list without actions has been carried out at once. They have no action to hang
/// up, and an error of ours would be asked again.
pub(super) const REJECTION: &str = "[]";

/// The actions for one call. When they are done, Vonage ends it.
///
/// # Errors
/// What to change, for the agent's owner.
pub(super) fn render(
    answer: &Answer,
    call_id: CallId,
    callback_url: &str,
) -> Result<String, String> {
    let action = match answer {
        Answer::Say { text } => talk(text)?,
        Answer::Stream { url } => {
            check_stream(url)?;
            json!({
                "action": "connect",
                "eventUrl": [callback_url],
                "eventMethod": "POST",
                "endpoint": [{
                    "type": "websocket",
                    "uri": url,
                    "content-type": CONTENT_TYPE,
                    // Told to the peer in its first message.
                    "headers": { "call_id": call_id },
                }],
            })
        }
    };
    Ok(json!([action]).to_string())
}

fn talk(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("the sentence to say is empty".to_owned());
    }
    // They would read it as markup, which no other provider does.
    if text.trim_start().starts_with("<speak") {
        return Err("the sentence to say must be plain text, not SSML".to_owned());
    }
    let length = text.chars().count();
    if length > MAX_CHARS {
        return Err(format!(
            "the sentence to say has {length} characters; Vonage takes {MAX_CHARS}"
        ));
    }
    Ok(json!({ "action": "talk", "text": text }))
}

fn check_stream(url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|_| "the stream's URL is not a URL".to_owned())?;
    if !base_url::is_safe_websocket(&parsed) {
        return Err("the stream's URL must begin with wss://".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLBACK: &str = "https://onhook.example/callbacks/vonage/1/calls/7";

    fn render(answer: &Answer) -> Result<Value, String> {
        let text = super::render(answer, CallId(uuid::Uuid::nil()), CALLBACK)?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    fn say(text: &str) -> Result<Value, String> {
        let text = text.to_owned();
        render(&Answer::Say { text })
    }

    fn stream(url: &str) -> Result<Value, String> {
        let url = url.to_owned();
        render(&Answer::Stream { url })
    }

    #[test]
    fn a_sentence_is_talked_and_never_becomes_another_action() {
        let text = "Tom's \"],{\"action\":\"record\"} <3 & more";
        assert_eq!(
            say(text).unwrap(),
            json!([{"action": "talk", "text": text}])
        );
    }

    #[test]
    fn a_stream_connects_a_websocket_that_is_told_the_calls_id() {
        assert_eq!(
            stream("wss://agents.example.com/media?a=b").unwrap(),
            json!([{
                "action": "connect", "eventUrl": [CALLBACK], "eventMethod": "POST",
                "endpoint": [{
                    "type": "websocket", "uri": "wss://agents.example.com/media?a=b",
                    "content-type": "audio/l16;rate=16000",
                    "headers": {"call_id": "00000000-0000-0000-0000-000000000000"},
                }],
            }])
        );
    }

    #[test]
    fn what_vonage_would_refuse_or_misread_is_refused_with_a_reason() {
        let table = [
            (say(" \n "), "empty"),
            (say(" <speak>hello</speak>"), "SSML"),
            (say(&"é".repeat(MAX_CHARS + 1)), "Vonage takes 1500"),
            (stream("not a url"), "not a URL"),
            (stream("https://h.example/"), "wss://"),
            (stream("ws://h.example/"), "wss://"),
        ];
        for (result, expected) in table {
            let problem = result.unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(say(&"é".repeat(MAX_CHARS)).is_ok());
        assert_eq!(REJECTION.parse::<Value>().unwrap(), json!([]));
    }
}

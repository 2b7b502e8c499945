//! Pure: what a call is to do, in jambonz's verbs: the answer to its hook.
//! <https://docs.jambonz.org/verbs>

use reqwest::Url;
use serde_json::{Value, json};

use crate::{
    domain::agent::Answer,
    providers::{Instruction, Reply, base_url},
};

/// The rate of the audio that a stream carries both ways, in Hz: what telephones have.
const SAMPLE_RATE: u32 = 8000;

/// The verbs that carry out what the agent does.
///
/// # Errors
/// What is wrong with the agent's settings, for its owner.
pub(super) fn carrying_out(answer: &Answer) -> Result<Value, String> {
    match answer {
        Answer::Say { text } if text.trim().is_empty() => {
            Err("the sentence to say is empty".to_owned())
        }
        Answer::Say { text } => Ok(json!([
            { "verb": "say", "text": text },
            { "verb": "hangup" },
        ])),
        Answer::Stream { url } => {
            let parsed = Url::parse(url).map_err(|_| "the stream's URL is not a URL".to_owned())?;
            if !base_url::is_safe_websocket(&parsed) {
                return Err("the stream's URL must begin with wss://".to_owned());
            }
            Ok(json!([
                { "verb": "answer" },
                {
                    "verb": "listen",
                    "url": url,
                    "mixType": "mono",
                    "sampleRate": SAMPLE_RATE,
                    "bidirectionalAudio": {
                        "enabled": true,
                        "streaming": true,
                        "sampleRate": SAMPLE_RATE,
                    },
                },
            ]))
        }
    }
}

/// The answer to a hook that asks what the call is to do.
///
/// # Errors
/// As for [`carrying_out`].
pub(in crate::providers::sip) fn instructions(
    instruction: &Instruction<'_>,
) -> Result<Reply, String> {
    carrying_out(instruction.answer).map(|verbs| reply(&verbs))
}

/// The answer about a call that nobody takes: declined while it rings, else ended.
pub(in crate::providers::sip) fn rejection() -> Reply {
    reply(&json!([
        { "verb": "sip:decline", "status": 603, "reason": "Decline" },
        { "verb": "hangup" },
    ]))
}

fn reply(verbs: &Value) -> Reply {
    Reply {
        status: 200,
        content_type: Some("application/json"),
        body: verbs.to_string(),
    }
}

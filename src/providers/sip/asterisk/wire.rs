//! Asterisk's shapes, as its REST interface documents them and as version 22 was seen to send them.
//! No meaning is given to anything here: see `map.rs` and `event.rs`.
//!
//! <https://docs.asterisk.org/Latest_API/API_Documentation/Asterisk_REST_Interface/>. A refusal is
//! `{"message": …}`, except that a failed allocation is `{"error": …}`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::asking::{lenient, parse};
use crate::domain::Timestamp;

/// A channel: one leg of a call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Channel {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    /// `Down`, `Ring` (it came in and is not answered), `Ringing`, `Up` and rarer ones.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) state: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) caller: Option<Caller>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) dialplan: Option<Dialplan>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) creationtime: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Caller {
    /// Empty when it is withheld.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) number: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Dialplan {
    /// What was dialled.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) exten: Option<String>,
}

/// A Stasis application that is registered.
#[derive(Debug, Deserialize)]
pub(super) struct Application {
    pub(super) name: String,
    /// The channels that it is told of.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) channel_ids: Option<Vec<String>>,
}

/// An event. Which members there are depends on its type.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) application: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) channel: Option<Channel>,
    /// What the channel entered the application with.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) args: Option<Vec<String>>,
    /// ITU-T Q.850.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) cause: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) cause_txt: Option<String>,
    /// The final SIP status, where there is one.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) tech_cause: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<String>,
}

/// Whether a body is Asterisk's own word, to the letter, for a channel that is not there: the same
/// for one that ended and one that never was.
pub(super) fn is_channel_not_found(body: &[u8]) -> bool {
    parse::<Value>(body) == Some(json!({ "message": "Channel not found" }))
}

/// Asterisk's own words in a refusal.
pub(super) fn words(body: &[u8]) -> Option<String> {
    let refusal: Refusal = parse(body)?;
    refusal.message.or(refusal.error)
}

/// A time as Asterisk writes it, `2026-11-21T07:25:29.687+0000`: RFC 3339 but for a colon.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let at = text.len().checked_sub(4)?;
    let (rest, zone) = text.split_at_checked(at)?;
    if !rest.ends_with(['+', '-']) {
        return text.parse().ok();
    }
    let (hours, minutes) = zone.split_at_checked(2)?;
    format!("{rest}{hours}:{minutes}").parse().ok()
}

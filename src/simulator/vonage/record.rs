//! A call as Vonage shows it: created, read or in a list.
//!
//! Source: `GetCallResponse` and `GetCallsResponse` in Vonage's API description. It does not say by
//! which of a call's moments `date_start` and `date_end` go; here it is the creation.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::{
    domain::Timestamp,
    simulator::call::{Record, State},
};

const USUAL_PAGE: usize = 10;
const MOST_PAGE: usize = 100;

/// The answer to a create.
pub(super) fn created(call: &Record) -> Value {
    json!({
        "uuid": call.id,
        "status": status(call),
        "direction": direction(call),
        "conversation_uuid": conversation(call),
    })
}

pub(super) fn read(call: &Record) -> Value {
    let mut shown = json!({
        "_links": { "self": { "href": format!("/calls/{}", call.id) } },
        "uuid": call.id,
        "conversation_uuid": conversation(call),
        "to": { "type": "phone", "number": call.to },
        "from": { "type": "phone", "number": call.from },
        "status": status(call),
        "direction": direction(call),
    });
    if let (State::Completed, Some(members)) = (call.state, shown.as_object_mut()) {
        let answered_at = call.answered_at.unwrap_or(call.created_at);
        let ended_at = call.ended_at.unwrap_or(answered_at);
        let more = [
            ("start_time", spaced(answered_at)),
            ("end_time", spaced(ended_at)),
            (
                "duration",
                call.connected_seconds().unwrap_or_default().to_string(),
            ),
            ("rate", "0.00".to_owned()),
            ("price", "0.00".to_owned()),
            ("network", "US-FIXED".to_owned()),
        ];
        members.extend(more.map(|(name, text)| (name.to_owned(), text.into())));
    }
    shown
}

/// Their word for how far a call is.
pub(super) fn status(call: &Record) -> &'static str {
    match (call.state, call.sip_code) {
        (State::Queued, _) => "started",
        (State::Ringing, _) => "ringing",
        (State::InProgress, _) => "answered",
        (State::Completed, _) => "completed",
        (State::Busy, _) => "busy",
        (State::NoAnswer, _) => "unanswered",
        (State::Canceled, _) => "cancelled",
        (State::Failed, Some(603 | 404)) => "rejected",
        (State::Failed, _) => "failed",
    }
}

pub(super) fn direction(call: &Record) -> &'static str {
    if call.inbound { "inbound" } else { "outbound" }
}

/// The conversation's name, which goes with the call.
pub(super) fn conversation(call: &Record) -> String {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(Sha256::digest(call.id.as_bytes())) {
        *to = from;
    }
    let name = uuid::Builder::from_custom_bytes(bytes).into_uuid();
    format!("CON-{name}")
}

/// As in `2020-01-01 12:00:00`.
fn spaced(instant: Timestamp) -> String {
    instant
        .to_string()
        .chars()
        .take(19)
        .map(|c| if c == 'T' { ' ' } else { c })
        .collect()
}

/// What a request for a list asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    status: Option<String>,
    conversation: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    page_size: usize,
    index: usize,
    newest_first: bool,
}

impl Wanted {
    /// # Errors
    /// What Vonage answers with status 400.
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let mut wanted = Self {
            status: None,
            conversation: None,
            from: None,
            until: None,
            page_size: USUAL_PAGE,
            index: 0,
            newest_first: false,
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let date = || value.parse::<Timestamp>().ok();
            let number = || value.parse::<usize>().ok();
            match name.as_ref() {
                "status" => wanted.status = Some(value.into_owned()),
                "conversation_uuid" => wanted.conversation = Some(value.into_owned()),
                "date_start" => {
                    wanted.from = Some(date().ok_or(Problem::new("date_start", "Not a date"))?);
                }
                "date_end" => {
                    wanted.until = Some(date().ok_or(Problem::new("date_end", "Not a date"))?);
                }
                "page_size" => {
                    wanted.page_size = number()
                        .filter(|size| (1..=MOST_PAGE).contains(size))
                        .ok_or(Problem::new("page_size", "Must be 1 to 100"))?;
                }
                "record_index" => {
                    wanted.index = number().ok_or(Problem::new("record_index", "Not a number"))?;
                }
                "order" => wanted.newest_first = value == "desc",
                _ => {}
            }
        }
        Ok(wanted)
    }

    /// The page, out of all of the account's calls, newest first.
    pub(super) fn page<'a>(&self, calls: impl Iterator<Item = &'a Record>) -> Value {
        let mut fitting: Vec<&Record> = calls.filter(|call| self.fits(call)).collect();
        if !self.newest_first {
            fitting.reverse();
        }
        let shown: Vec<Value> = fitting
            .iter()
            .skip(self.index)
            .take(self.page_size)
            .map(|call| read(call))
            .collect();
        let (size, index) = (self.page_size, self.index);
        json!({
            "count": fitting.len(),
            "page_size": size,
            "record_index": index,
            "_links": { "self": { "href": format!("/calls?page_size={size}&record_index={index}") } },
            "_embedded": { "calls": shown },
        })
    }

    fn fits(&self, call: &Record) -> bool {
        let is = |asked: &Option<String>, is: &str| asked.as_ref().is_none_or(|it| it == is);
        is(&self.status, status(call))
            && is(&self.conversation, &conversation(call))
            && self.from.is_none_or(|from| call.created_at >= from)
            && self.until.is_none_or(|until| call.created_at <= until)
    }
}

//! A call as Telnyx shows it: dialled, read, or as one of the active ones.
//!
//! Source: `Call`, `CallWithRecordingId` and `ActiveCall` in Telnyx's API description. It does not
//! say from when `call_duration` counts; here it counts from the answer. The order of active calls
//! is not documented either; here it is the newest first.

use serde_json::{Map, Value, json};

use super::problem::Problem;
use crate::{
    domain::Timestamp,
    simulator::call::{Record, State},
};

const USUAL_PAGE: usize = 20;
const MOST_PAGE: usize = 250;

/// The answer to a dial: never alive, whatever becomes of it.
pub(super) fn dialled(call: &Record) -> Value {
    let mut members = named(call);
    members.insert("is_alive".to_owned(), false.into());
    members.into()
}

/// The call when it is read at `now`. One that is still being dialled is not alive either.
pub(super) fn read(call: &Record, now: Timestamp) -> Value {
    let alive = matches!(call.state, State::Ringing | State::InProgress);
    let mut members = named(call);
    members.insert("is_alive".to_owned(), alive.into());
    members.insert("call_duration".to_owned(), duration(call, now).into());
    members.insert("start_time".to_owned(), instant(call.created_at).into());
    if let Some(ended_at) = call.ended_at {
        members.insert("end_time".to_owned(), instant(ended_at).into());
    }
    members.into()
}

/// What a request for active calls asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    limit: usize,
    after: Option<String>,
    /// From 1; counts when there is no `after`.
    number: usize,
}

impl Wanted {
    /// # Errors
    /// What Telnyx answers with status 422.
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let mut wanted = Self {
            limit: USUAL_PAGE,
            after: None,
            number: 1,
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "page[limit]" | "page[size]" => {
                    let limit = value
                        .parse()
                        .ok()
                        .filter(|limit| (1..=MOST_PAGE).contains(limit));
                    wanted.limit = limit.ok_or_else(|| {
                        let detail = "The page's size must be from 1 to 250.";
                        Problem::new("10032", "Value outside of range", detail)
                    })?;
                }
                "page[number]" => {
                    let number = value.parse().ok().filter(|number| *number >= 1);
                    wanted.number = number.ok_or_else(|| {
                        let detail = "The page's number must be 1 or more.";
                        Problem::new("10032", "Value outside of range", detail)
                    })?;
                }
                "page[after]" => wanted.after = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(wanted)
    }

    /// The page, out of all of the account's calls.
    pub(super) fn page<'a>(
        &self,
        account: &str,
        calls: impl Iterator<Item = &'a Record>,
        now: Timestamp,
    ) -> Value {
        let active: Vec<&Record> = calls.filter(|call| !call.state.is_over()).collect();
        let by_number = (self.number - 1).saturating_mul(self.limit);
        let passed = self.after.as_ref().map_or(by_number, |after| {
            let at = active.iter().position(|call| call.id == *after);
            at.map_or(active.len(), |at| at + 1)
        });
        let rest = active.get(passed..).unwrap_or_default();
        let page = rest.get(..self.limit).unwrap_or(rest);
        let more = rest.len() > page.len();
        let shown: Vec<Value> = page.iter().map(|call| listed(call, now)).collect();
        // What there is none of is left out: their description knows texts there, no nulls. It has
        // no page numbers in answers; their own packages require them.
        let mut meta = Map::from_iter(
            [
                ("total_items", active.len()),
                ("page_number", passed / self.limit + 1),
                ("total_pages", active.len().div_ceil(self.limit)),
            ]
            .map(|(name, value)| (name.to_owned(), value.into())),
        );
        let mut cursors = Map::new();
        if let Some(after) = page.last().filter(|_| more).map(|call| call.id.as_str()) {
            let next = format!("/v2/connections/{account}/active_calls?page[after]={after}");
            meta.insert("next".to_owned(), next.into());
            cursors.insert("after".to_owned(), after.into());
        }
        meta.insert("cursors".to_owned(), cursors.into());
        json!({ "data": shown, "meta": meta })
    }
}

fn listed(call: &Record, now: Timestamp) -> Value {
    let mut members = named(call);
    members.insert("call_duration".to_owned(), duration(call, now).into());
    // Required here, and a text.
    members.entry("client_state").or_insert("".into());
    members.into()
}

/// The names of a call, which are everywhere.
fn named(call: &Record) -> Map<String, Value> {
    let leg = super::event::leg_id(call);
    let mut members = Map::from_iter([
        ("record_type".to_owned(), "call".into()),
        ("call_control_id".to_owned(), call.id.clone().into()),
        ("call_leg_id".to_owned(), leg.clone().into()),
        ("call_session_id".to_owned(), leg.into()),
    ]);
    if let Some(state) = &call.client_state {
        members.insert("client_state".to_owned(), state.clone().into());
    }
    members
}

fn duration(call: &Record, now: Timestamp) -> i64 {
    let until = call.ended_at.unwrap_or(now);
    call.answered_at.map_or(0, |answered_at| {
        until.since(answered_at).whole_seconds().max(0)
    })
}

/// ISO 8601, as in `2019-01-23T18:10:02.574Z`.
pub(super) fn instant(instant: Timestamp) -> String {
    instant.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_number_from_1_or_by_cursor() {
        let wanted = Wanted::read("page%5Bnumber%5D=3&page%5Bsize%5D=7").unwrap();
        let expected = Wanted {
            limit: 7,
            after: None,
            number: 3,
        };
        assert_eq!(wanted, expected);
        let by_cursor = Wanted::read("page[after]=v3:x").unwrap();
        assert_eq!(by_cursor.after.as_deref(), Some("v3:x"));
        for wrong in ["page[number]=0", "page[number]=x", "page[limit]=251"] {
            assert_eq!(Wanted::read(wrong).unwrap_err().code, "10032", "{wrong}");
        }
    }
}

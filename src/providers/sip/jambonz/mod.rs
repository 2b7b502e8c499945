//! jambonz: dial, hang up, read, look for a lost dial; its hooks, answered with its verbs.
//!
//! This file sends; it decides nothing. [`request`] builds what is asked, [`map`] says what the
//! answer means, [`verbs`] what a call is to do.
//!
//! Its word for ending a call depends on how far the call is, and the wrong one is refused: the
//! second is sent at once then. A call that we end while it rings counts as not answered there, and
//! so here.
//!
//! Limits. A dial has no name of ours at jambonz until it is placed; it is looked for by the tag
//! that it carries. A lookup by numbers, where a version lists no tags, cannot see when a call was
//! placed. A call that comes in must be sent to the account's callback URL by both hooks of its
//! application.

mod callback;
mod map;
mod request;
mod verbs;
mod wire;

#[cfg(test)]
mod callback_tests;
#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod tests;

use super::{
    Wires,
    asking::{self, Heard, not_asked},
    keys::JambonzKeys as Keys,
};
use crate::{
    domain::{
        call::EndReason,
        provider::{
            Answered, DialOutcome, FetchOutcome, HangUpOutcome, LiveOutcome, LookupOutcome,
        },
    },
    providers::{Account, DialLookup, DialRequest},
};

pub(super) use callback::read;
pub(super) use verbs::{instructions, rejection};

/// The most that is read of an answer about one call, in bytes; such answers take about 0.5 kB.
const MAX_CALL_BYTES: usize = 64 * 1024;

/// The most that is read of the list of calls, in bytes: more than 5,000.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn dial(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    dial: &DialRequest<'_>,
) -> Answered<DialOutcome> {
    let http = match request::dial(account, keys, dial) {
        Ok(http) => http,
        Err(problem) => {
            let reason = EndReason::PlatformError;
            return not_asked(DialOutcome::Refused { reason }, problem);
        }
    };
    let deadline = wires.deadlines.dial;
    let heard = wires.dials.send(http, deadline, MAX_CALL_BYTES).await;
    answered(map::dial(&heard), keys, &heard)
}

pub(super) async fn hang_up(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    id: &str,
) -> Answered<HangUpOutcome> {
    let mut last = None;
    // The state may change between the two; then it is asked again later, from the beginning.
    for ending in [request::Ending::Completed, request::Ending::NoAnswer] {
        let http = match request::hang_up(account, keys, id, ending) {
            Ok(http) => http,
            Err(problem) => return not_asked(HangUpOutcome::Refused, problem),
        };
        let heard = wires.ask(http, MAX_CALL_BYTES).await;
        match map::hang_up(id, &heard) {
            map::HungUp::Tells(outcome) => return answered(outcome, keys, &heard),
            map::HungUp::WrongState => last = Some(heard),
        }
    }
    let retry = HangUpOutcome::Retry { after: None };
    match last {
        Some(heard) => answered(retry, keys, &heard),
        None => not_asked(retry, "nothing was asked".to_owned()),
    }
}

pub(super) async fn fetch(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    id: &str,
) -> Answered<FetchOutcome> {
    let http = match request::fetch(account, keys, id) {
        Ok(http) => http,
        Err(problem) => return not_asked(FetchOutcome::Refused, problem),
    };
    let heard = wires.ask(http, MAX_CALL_BYTES).await;
    answered(map::fetch(id, &heard), keys, &heard)
}

pub(super) async fn find_dial(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    lookup: &DialLookup<'_>,
) -> Answered<LookupOutcome> {
    let http = match request::calls(account, keys) {
        Ok(http) => http,
        Err(problem) => return not_asked(LookupOutcome::Unavailable { after: None }, problem),
    };
    let heard = wires.ask(http, MAX_LIST_BYTES).await;
    answered(map::lookup(lookup, &heard), keys, &heard)
}

pub(super) async fn list_live(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
) -> Answered<LiveOutcome> {
    let http = match request::calls(account, keys) {
        Ok(http) => http,
        Err(problem) => return not_asked(LiveOutcome::Unavailable { after: None }, problem),
    };
    let heard = wires.ask(http, MAX_LIST_BYTES).await;
    answered(map::live(&heard), keys, &heard)
}

fn answered<T>(outcome: T, keys: &Keys, heard: &Heard) -> Answered<T> {
    Answered {
        outcome,
        answer: asking::answer(heard, &keys.secrets(), wire::words),
    }
}

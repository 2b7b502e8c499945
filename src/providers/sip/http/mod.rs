//! A bridge of the customer's own, about which nothing is known but what its owner wrote down: where
//! a call is ended, what that is answered with, and perhaps how one is dialled.
//!
//! A call has one name, which we give it when we dial. This file sends; it decides nothing.
//!
//! Limits. A call cannot be read, looked for or listed, and none can come in. A hang-up that was
//! accepted is proved by the bridge's report of the end, or, by the status for "already over", when
//! it is asked again. A dial whose answer is lost stays unknown until the bridge reports on it.

mod keys;
mod map;
mod report;
mod request;

#[cfg(test)]
mod tests;

use super::{
    Wires,
    asking::{self, Heard, not_asked},
};
use crate::{
    domain::{
        call::EndReason,
        provider::{Answered, DialOutcome, HangUpOutcome},
    },
    providers::{Account, DialRequest},
};

pub(super) use keys::Keys;
pub(super) use report::read;

/// The most that is read of an answer, in bytes: its status tells, its words are shown.
const MAX_BYTES: usize = 16 * 1024;

pub(super) async fn dial(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    wanted: &DialRequest<'_>,
) -> Answered<DialOutcome> {
    let refused = DialOutcome::Refused {
        reason: EndReason::PlatformError,
    };
    let Some(dial) = &keys.dial else {
        let why = "the bridge takes no dials: its credentials have no member dial";
        return not_asked(refused, why.to_owned());
    };
    let http = match request::dial(account, keys, dial, wanted) {
        Ok(http) => http,
        Err(problem) => return not_asked(refused, problem),
    };
    let deadline = wires.deadlines.dial;
    let heard = wires.dials.send(http, deadline, MAX_BYTES).await;
    answered(map::dial(dial, wanted.call_id, &heard), keys, &heard)
}

pub(super) async fn hang_up(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    id: &str,
) -> Answered<HangUpOutcome> {
    let http = match request::hang_up(account, keys, id) {
        Ok(http) => http,
        Err(problem) => return not_asked(HangUpOutcome::Refused, problem),
    };
    let heard = wires.ask(http, MAX_BYTES).await;
    answered(map::hang_up(&keys.hang_up, &heard), keys, &heard)
}

fn answered<T>(outcome: T, keys: &Keys, heard: &Heard) -> Answered<T> {
    Answered {
        outcome,
        answer: asking::answer(heard, &keys.secrets(), |_| None),
    }
}

//! Asterisk, by its REST interface (ARI): dial, hang up, read, look for a lost dial; its events.
//!
//! This file sends; it decides nothing. [`request`] builds what is asked, [`map`] says what the
//! answer means, [`event`] what is told, over the websocket of [`feed`]. What is said here of
//! Asterisk was seen at version 22.10.
//!
//! A channel is dialled for a Stasis application and named by our id. An application that nobody
//! listens to is not registered; a channel for it would be placed all the same, and be gone
//! unseen, so a dial looks for the application first.
//!
//! Limits. Asterisk has no voice: a sentence is not spoken; the call is answered and stays in the
//! application until it is ended. A stream is refused. An application stays registered for a while
//! after its listener is gone if channels are left in it, so the look before a dial can be
//! mistaken then.

mod event;
mod feed;
mod map;
mod request;
mod wire;

#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{
    Wires,
    asking::{self, Heard, not_asked},
    keys::AsteriskKeys as Keys,
};
use crate::{
    domain::{
        call::EndReason,
        provider::{
            Answered, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome, LiveOutcome,
            LookupOutcome,
        },
    },
    outbound,
    providers::{Account, DialLookup, DialRequest, Instruction, ProviderCall, Stage},
};

pub(super) use feed::listen;

/// The most that is read of an answer about one channel, in bytes; such answers take about 0.5 kB.
const MAX_CALL_BYTES: usize = 64 * 1024;

/// The most that is read of a list, in bytes: more than 5,000 channels.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// How long the look before a dial may take. Part of the dial's deadline, on which a lease hangs.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

pub(super) async fn dial(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    dial: &DialRequest<'_>,
) -> Answered<DialOutcome> {
    let built = request::dial(account, keys, dial)
        .and_then(|http| Ok((request::application(account, keys)?, http)));
    let (look, http) = match built {
        Ok(built) => built,
        Err(problem) => {
            let reason = EndReason::PlatformError;
            return not_asked(DialOutcome::Refused { reason }, problem);
        }
    };
    let whole = wires.deadlines.dial;
    let within = LOOK_WITHIN.min(whole / 4);
    let heard = wires.dials.send(look, within, MAX_CALL_BYTES).await;
    if let map::Ready::No(outcome) = map::ready(&keys.app, &heard) {
        return answered(outcome, keys, &heard);
    }
    let heard = wires
        .dials
        .send(http, whole.saturating_sub(within), MAX_CALL_BYTES)
        .await;
    answered(map::dial(dial.call_id, &heard), keys, &heard)
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
    let heard = wires.ask(http, MAX_CALL_BYTES).await;
    answered(map::hang_up(&heard), keys, &heard)
}

pub(super) async fn fetch(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    call: ProviderCall<'_>,
) -> Answered<FetchOutcome> {
    let http = match request::fetch(account, keys, call.id) {
        Ok(http) => http,
        Err(problem) => return not_asked(FetchOutcome::Refused, problem),
    };
    let heard = wires.ask(http, MAX_CALL_BYTES).await;
    answered(map::fetch(call.id, call.answered, &heard), keys, &heard)
}

pub(super) async fn find_dial(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    lookup: &DialLookup<'_>,
) -> Answered<LookupOutcome> {
    let http = match request::fetch(account, keys, &lookup.call_id.to_string()) {
        Ok(http) => http,
        Err(problem) => return not_asked(LookupOutcome::Unavailable { after: None }, problem),
    };
    let heard = wires.ask(http, MAX_CALL_BYTES).await;
    answered(map::lookup(lookup.call_id, &heard), keys, &heard)
}

/// Which channels are the application's, then what is known of each: two requests.
pub(super) async fn list_live(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
) -> Answered<LiveOutcome> {
    let built = request::application(account, keys)
        .and_then(|first| Ok((first, request::channels(account, keys)?)));
    let (first, second) = match built {
        Ok(built) => built,
        Err(problem) => return not_asked(LiveOutcome::Unavailable { after: None }, problem),
    };
    let heard = wires.ask(first, MAX_LIST_BYTES).await;
    let ours = match map::channels_of(&keys.app, &heard) {
        Ok(ours) => ours,
        Err(outcome) => return answered(outcome, keys, &heard),
    };
    let heard = wires.ask(second, MAX_LIST_BYTES).await;
    answered(map::live(&ours, &heard), keys, &heard)
}

pub(super) async fn instruct(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    id: &str,
    instruction: &Instruction<'_>,
) -> Answered<InstructOutcome> {
    let http = match instruction.stage {
        Stage::Incoming => request::can_carry_out(instruction.answer)
            .and_then(|()| request::answer(account, keys, id)),
        Stage::Answered => {
            let why = "Asterisk has no voice: the call stays in the application";
            return not_asked(InstructOutcome::Done, why.to_owned());
        }
    };
    command(wires, keys, http).await
}

pub(super) async fn reject(
    wires: &Wires,
    account: &Account,
    keys: &Keys,
    id: &str,
) -> Answered<InstructOutcome> {
    command(wires, keys, request::reject(account, keys, id)).await
}

async fn command(
    wires: &Wires,
    keys: &Keys,
    http: Result<outbound::Request, String>,
) -> Answered<InstructOutcome> {
    let http = match http {
        Ok(http) => http,
        Err(problem) => return not_asked(InstructOutcome::Refused, problem),
    };
    let heard = wires.ask(http, MAX_CALL_BYTES).await;
    answered(map::command(&heard), keys, &heard)
}

fn answered<T>(outcome: T, keys: &Keys, heard: &Heard) -> Answered<T> {
    Answered {
        outcome,
        answer: asking::answer(heard, &keys.secrets(), wire::words),
    }
}

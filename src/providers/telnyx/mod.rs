//! Telnyx Call Control, version 2: dial, hang up, read, look for a lost dial; their events.
//!
//! This file sends; it decides nothing. [`request`] builds what is asked, [`map`] says what the
//! answer means. The contract is <https://developers.telnyx.com/api/call-control/dial-call>.
//!
//! Calls are commanded: one that comes in is answered by a request, and a sentence is a `speak`
//! command once somebody has answered. Streams begin by themselves.
//!
//! A limit: a `call.hangup` does not say for how long the call was answered. If it is the only event
//! that arrives (they promise no order), the call counts as never answered and costs nothing.

mod callback;
mod keys;
mod map;
mod request;
mod wire;

#[cfg(test)]
mod callback_tests;
#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod tests;

use super::{
    Account, BoxFuture, CallControl, Callback, CallbackRefusal, CallbackRequest, Callbacks,
    Commands, Deadlines, DialLookup, DialRequest, Instruction, ProviderCall, Reply, Stage,
};
use crate::{
    domain::{
        agent::Answer,
        call::EndReason,
        provider::{
            Answered, Description, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome,
            LiveOutcome, LookupOutcome, ProviderAnswer,
        },
    },
    outbound::{self, Reach},
};

pub use keys::Keys;

/// The most that is read of an answer about one call, in bytes; such answers take about 0.5 kB.
const MAX_CALL_BYTES: usize = 64 * 1024;

/// The most that is read of a page of 250 calls, in bytes.
const MAX_LIST_BYTES: usize = 512 * 1024;

/// The most pages that are read to find a dial: 5,000 active calls on one connection.
const MOST_PAGES: usize = 20;

/// Idle connections that are kept for each host, so that a hang-up need not wait for TLS.
const IDLE_PER_HOST: usize = 32;

/// The adapter.
pub struct Telnyx {
    /// For hang-ups and reads. Apart from dials, which may be many and slow: a hang-up never waits
    /// behind them for a connection.
    control: outbound::Client,
    dials: outbound::Client,
    deadlines: Deadlines,
}

impl Telnyx {
    /// # Errors
    /// When the system's trust anchors cannot be read.
    pub fn new(reach: Reach, deadlines: Deadlines) -> Result<Self, reqwest::Error> {
        let options = outbound::Options {
            reach,
            connect_timeout: deadlines.connect,
            idle_per_host: IDLE_PER_HOST,
            https_only: false,
        };
        Ok(Self {
            control: outbound::Client::new(options)?,
            dials: outbound::Client::new(options)?,
            deadlines,
        })
    }

    async fn ask_to_dial(
        &self,
        account: &Account,
        request: DialRequest<'_>,
    ) -> Answered<DialOutcome> {
        let http = match request::dial(account, &request) {
            Ok(http) => http,
            Err(problem) => {
                let reason = EndReason::PlatformError;
                return not_asked(DialOutcome::Refused { reason }, problem);
            }
        };
        let heard = self
            .dials
            .send(http, self.deadlines.dial, MAX_CALL_BYTES)
            .await;
        answered(map::dial(&heard), account, &heard)
    }

    async fn ask_to_hang_up(&self, account: &Account, id: &str) -> Answered<HangUpOutcome> {
        let http = match request::hang_up(account, id) {
            Ok(http) => http,
            Err(problem) => return not_asked(HangUpOutcome::Refused, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::hang_up(&heard), account, &heard)
    }

    async fn ask_for_call(&self, account: &Account, id: &str) -> Answered<FetchOutcome> {
        let http = match request::fetch(account, id) {
            Ok(http) => http,
            Err(problem) => return not_asked(FetchOutcome::Refused, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::fetch(id, &heard), account, &heard)
    }

    /// Page by page, each within the deadline of a read.
    async fn ask_for_dial(
        &self,
        account: &Account,
        lookup: DialLookup<'_>,
    ) -> Answered<LookupOutcome> {
        const UNCLEAR: LookupOutcome = LookupOutcome::Unavailable { after: None };
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let http = match request::active_calls(account, cursor.as_deref()) {
                Ok(http) => http,
                Err(problem) => return not_asked(UNCLEAR, problem),
            };
            let heard = self.ask(http, MAX_LIST_BYTES).await;
            match map::lookup(account.id, &lookup, &heard) {
                map::Page::Tells(outcome) => return answered(outcome, account, &heard),
                map::Page::GoesOn(next) => cursor = Some(next),
            }
        }
        not_asked(
            UNCLEAR,
            format!("there are more than {MOST_PAGES} pages of active calls"),
        )
    }

    async fn ask_for_live(&self, account: &Account, cursor: Option<&str>) -> Answered<LiveOutcome> {
        let http = match request::active_calls(account, cursor) {
            Ok(http) => http,
            Err(problem) => {
                return not_asked(LiveOutcome::Unavailable { after: None }, problem);
            }
        };
        let heard = self.ask(http, MAX_LIST_BYTES).await;
        answered(map::live(account.id, &heard), account, &heard)
    }

    async fn command(
        &self,
        account: &Account,
        http: Result<outbound::Request, String>,
    ) -> Answered<InstructOutcome> {
        let http = match http {
            Ok(http) => http,
            Err(problem) => return not_asked(InstructOutcome::Refused, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::command(&heard), account, &heard)
    }

    async fn ask(&self, http: outbound::Request, max_body: usize) -> map::Heard {
        let deadline = self.deadlines.hang_up;
        self.control.send(http, deadline, max_body).await
    }
}

impl CallControl for Telnyx {
    fn dial<'a>(
        &'a self,
        account: &'a Account,
        request: DialRequest<'a>,
    ) -> BoxFuture<'a, Answered<DialOutcome>> {
        Box::pin(self.ask_to_dial(account, request))
    }

    fn hang_up<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<HangUpOutcome>> {
        Box::pin(self.ask_to_hang_up(account, call.id))
    }

    fn fetch<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome>> {
        Box::pin(self.ask_for_call(account, call.id))
    }

    /// Neither who calls whom nor whether a live call was answered is told.
    fn describe<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome<Description>>> {
        Box::pin(async move {
            // What cannot be an id of theirs is nobody's call.
            if !request::is_call_id(call.id) {
                return not_asked(FetchOutcome::NotFound, "not one of their ids".to_owned());
            }
            let read = self.ask_for_call(account, call.id).await;
            Answered {
                outcome: map::described(read.outcome),
                answer: read.answer,
            }
        })
    }

    fn find_dial<'a>(
        &'a self,
        account: &'a Account,
        lookup: DialLookup<'a>,
    ) -> BoxFuture<'a, Answered<LookupOutcome>> {
        Box::pin(self.ask_for_dial(account, lookup))
    }

    fn list_live<'a>(
        &'a self,
        account: &'a Account,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Answered<LiveOutcome>> {
        Box::pin(self.ask_for_live(account, cursor))
    }
}

impl Callbacks for Telnyx {
    fn read(
        &self,
        account: &Account,
        request: &CallbackRequest<'_>,
    ) -> Result<Callback, CallbackRefusal> {
        callback::read(account, request)
    }

    fn instructions(&self, _: &Account, _: &Instruction<'_>) -> Result<Reply, String> {
        Ok(Reply::empty())
    }

    fn rejection(&self) -> Reply {
        Reply::empty()
    }
}

impl Commands for Telnyx {
    fn instruct<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
        instruction: Instruction<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>> {
        Box::pin(async move {
            let http = match (instruction.stage, instruction.answer) {
                (Stage::Incoming, _) => request::answer(account, call.id, &instruction),
                (Stage::Answered, Answer::Say { text }) => request::speak(account, call.id, text),
                // It began with the dial or the answer.
                (Stage::Answered, Answer::Stream { .. }) => {
                    return not_asked(InstructOutcome::Done, "streams already".to_owned());
                }
            };
            self.command(account, http).await
        })
    }

    fn reject<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>> {
        Box::pin(async move {
            let http = request::reject(account, call.id);
            self.command(account, http).await
        })
    }
}

fn answered<T>(outcome: T, account: &Account, heard: &map::Heard) -> Answered<T> {
    Answered {
        outcome,
        answer: map::answer(account, heard),
    }
}

/// The outcome of a request that could not even be made.
fn not_asked<T>(outcome: T, problem: String) -> Answered<T> {
    Answered {
        outcome,
        answer: ProviderAnswer {
            status: None,
            code: None,
            message: Some(problem),
        },
    }
}

//! Vonage's Voice API, version 1: create, hang up, read and list calls; their webhooks.
//!
//! This file sends; it decides nothing. [`request`] builds what is asked, [`map`] says what the
//! answer means. The contract is <https://developer.vonage.com/en/api/voice>.
//!
//! Calls are told what to do by our answer to their answer webhook. The account's webhook URL is to
//! be set for both, answers and events, of the application, with POST.
//!
//! Limits. A call lives in one region, which the answer webhook tells: a call that rings is asked
//! about at the account's own API address, and so are lists, which show one region only. A lost dial
//! is found by numbers and time, or by its first report, whose URL names our call. A call longer than
//! a day is ended by them.

mod callback;
mod keys;
mod map;
mod ncco;
mod region;
mod request;
mod wire;

#[cfg(test)]
mod callback_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod tests;

use super::{
    Account, BoxFuture, CallControl, Callback, CallbackRefusal, CallbackRequest, Callbacks,
    Deadlines, DialLookup, DialRequest, Instruction, ProviderCall, Reply,
};
use crate::{
    ambient::Ambient,
    domain::{
        call::EndReason,
        provider::{
            Answered, Description, DialOutcome, FetchOutcome, HangUpOutcome, LiveOutcome,
            LookupOutcome, ProviderAnswer,
        },
    },
    outbound::{self, Reach},
};

pub use keys::Keys;

/// The most that is read of an answer about one call, in bytes; such answers take about 0.7 kB.
const MAX_CALL_BYTES: usize = 64 * 1024;

/// The most that is read of a page of 100 calls, in bytes.
const MAX_LIST_BYTES: usize = 512 * 1024;

/// The most pages that are read to find a dial: 2,000 calls of a few minutes.
const MOST_PAGES: usize = 20;

/// Idle connections that are kept for each host, so that a hang-up need not wait for TLS.
const IDLE_PER_HOST: usize = 32;

/// The adapter.
pub struct Vonage {
    /// For hang-ups and reads. Apart from dials, which may be many and slow: a hang-up never waits
    /// behind them for a connection.
    control: outbound::Client,
    dials: outbound::Client,
    deadlines: Deadlines,
    /// For the tokens' times and names.
    ambient: Ambient,
}

impl Vonage {
    /// # Errors
    /// When the system's trust anchors cannot be read.
    pub fn new(
        reach: Reach,
        deadlines: Deadlines,
        ambient: Ambient,
    ) -> Result<Self, reqwest::Error> {
        let options = outbound::Options {
            reach,
            connect_timeout: deadlines.connect,
            idle_per_host: IDLE_PER_HOST,
        };
        Ok(Self {
            control: outbound::Client::new(options)?,
            dials: outbound::Client::new(options)?,
            deadlines,
            ambient,
        })
    }

    fn stamp(&self) -> keys::Stamp {
        keys::Stamp {
            now: self.ambient.now(),
            token_id: self.ambient.entropy.uuid(),
        }
    }

    async fn ask_to_dial(
        &self,
        account: &Account,
        request: DialRequest<'_>,
    ) -> Answered<DialOutcome> {
        let http = match request::dial(account, &request, self.stamp()) {
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

    async fn ask_to_hang_up(
        &self,
        account: &Account,
        call: ProviderCall<'_>,
    ) -> Answered<HangUpOutcome> {
        let http = match request::hang_up(account, call, self.stamp()) {
            Ok(http) => http,
            Err(problem) => return not_asked(HangUpOutcome::Refused, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::hang_up(&heard), account, &heard)
    }

    async fn ask_for_call(
        &self,
        account: &Account,
        call: ProviderCall<'_>,
    ) -> Answered<FetchOutcome> {
        let http = match request::fetch(account, call, self.stamp()) {
            Ok(http) => http,
            Err(problem) => return not_asked(FetchOutcome::Refused, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::fetch(call.id, &heard), account, &heard)
    }

    async fn ask_for_description(
        &self,
        account: &Account,
        call: ProviderCall<'_>,
    ) -> Answered<FetchOutcome<Description>> {
        // What cannot be an id of theirs is nobody's call.
        let http = match request::fetch(account, call, self.stamp()) {
            Ok(http) => http,
            Err(problem) => return not_asked(FetchOutcome::NotFound, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::describe(call.id, &heard), account, &heard)
    }

    /// Page by page, each within the deadline of a read.
    async fn ask_for_dial(
        &self,
        account: &Account,
        lookup: DialLookup<'_>,
    ) -> Answered<LookupOutcome> {
        const UNCLEAR: LookupOutcome = LookupOutcome::Unavailable { after: None };
        let mut index = 0;
        let mut fitting = Vec::new();
        for _ in 0..MOST_PAGES {
            let http = match request::find_dial(account, &lookup, index, self.stamp()) {
                Ok(http) => http,
                Err(problem) => return not_asked(UNCLEAR, problem),
            };
            let heard = self.ask(http, MAX_LIST_BYTES).await;
            match map::lookup(&lookup, index, &heard) {
                map::Page::Unclear(outcome) => return answered(outcome, account, &heard),
                map::Page::Read(more, next) => {
                    fitting.extend(more);
                    match next {
                        Some(next) => index = next,
                        None => return answered(map::found(fitting), account, &heard),
                    }
                }
            }
        }
        not_asked(
            UNCLEAR,
            format!("there are more than {MOST_PAGES} pages of calls"),
        )
    }

    async fn ask_for_live(&self, account: &Account, cursor: Option<&str>) -> Answered<LiveOutcome> {
        let http = match request::live_calls(account, cursor, self.stamp()) {
            Ok(http) => http,
            Err(problem) => {
                return not_asked(LiveOutcome::Unavailable { after: None }, problem);
            }
        };
        let heard = self.ask(http, MAX_LIST_BYTES).await;
        answered(map::live(cursor, &heard), account, &heard)
    }

    async fn ask(&self, http: outbound::Request, max_body: usize) -> map::Heard {
        let deadline = self.deadlines.hang_up;
        self.control.send(http, deadline, max_body).await
    }
}

impl CallControl for Vonage {
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
        Box::pin(self.ask_to_hang_up(account, call))
    }

    fn fetch<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome>> {
        Box::pin(self.ask_for_call(account, call))
    }

    fn describe<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome<Description>>> {
        Box::pin(self.ask_for_description(account, call))
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

impl Callbacks for Vonage {
    fn read(
        &self,
        account: &Account,
        request: &CallbackRequest<'_>,
    ) -> Result<Callback, CallbackRefusal> {
        callback::read(account, request)
    }

    fn instructions(&self, _: &Account, instruction: &Instruction<'_>) -> Result<Reply, String> {
        ncco::render(
            instruction.answer,
            instruction.call_id,
            &instruction.callback_url,
        )
        .map(actions)
    }

    fn rejection(&self) -> Reply {
        actions(ncco::REJECTION.to_owned())
    }
}

fn actions(ncco: String) -> Reply {
    Reply {
        status: 200,
        content_type: Some("application/json"),
        body: ncco,
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

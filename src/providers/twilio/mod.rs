//! Twilio Programmable Voice: dial, hang up, read, look for a lost dial; their status callbacks.
//!
//! This file sends; it decides nothing. [`request`] builds what is asked, [`map`] says what the
//! answer means. The contract is <https://www.twilio.com/docs/voice/api/call-resource>.

mod callback;
mod keys;
mod map;
mod request;
pub mod twiml;
mod wire;

#[cfg(test)]
mod callback_tests;
#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod tests;

use super::{
    Account, BoxFuture, CallControl, Callback, CallbackRefusal, CallbackRequest, Callbacks,
    Deadlines, DialLookup, DialRequest, Instruction, ProviderCall, Reply,
};
use crate::{
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

/// The most that is read of an answer about one call, in bytes; such answers take about 1.5 kB.
const MAX_CALL_BYTES: usize = 64 * 1024;

/// The most that is read of a page of 1,000 calls, in bytes.
const MAX_LIST_BYTES: usize = 4 * 1024 * 1024;

/// Idle connections that are kept for each host, so that a hang-up need not wait for TLS.
const IDLE_PER_HOST: usize = 32;

/// The adapter.
pub struct Twilio {
    /// For hang-ups and reads. Apart from dials, which may be many and slow: a hang-up never waits
    /// behind them for a connection.
    control: outbound::Client,
    dials: outbound::Client,
    deadlines: Deadlines,
}

impl Twilio {
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

    async fn ask_to_hang_up(&self, account: &Account, sid: &str) -> Answered<HangUpOutcome> {
        let http = match request::hang_up(account, sid) {
            Ok(http) => http,
            Err(problem) => return not_asked(HangUpOutcome::Refused, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::hang_up(sid, &heard), account, &heard)
    }

    async fn ask_for_call(&self, account: &Account, sid: &str) -> Answered<FetchOutcome> {
        let http = match request::fetch(account, sid) {
            Ok(http) => http,
            Err(problem) => return not_asked(FetchOutcome::Refused, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::fetch(sid, &heard), account, &heard)
    }

    async fn ask_for_description(
        &self,
        account: &Account,
        sid: &str,
    ) -> Answered<FetchOutcome<Description>> {
        let http = match request::fetch(account, sid) {
            Ok(http) => http,
            // What cannot be an id of theirs is nobody's call.
            Err(problem) => return not_asked(FetchOutcome::NotFound, problem),
        };
        let heard = self.ask(http, MAX_CALL_BYTES).await;
        answered(map::describe(sid, &heard), account, &heard)
    }

    async fn ask_for_dial(
        &self,
        account: &Account,
        lookup: DialLookup<'_>,
    ) -> Answered<LookupOutcome> {
        let http = match request::find_dial(account, &lookup) {
            Ok(http) => http,
            Err(problem) => return not_asked(LookupOutcome::Unavailable { after: None }, problem),
        };
        let heard = self.ask(http, MAX_LIST_BYTES).await;
        answered(map::lookup(&lookup, &heard), account, &heard)
    }

    async fn ask_for_live(&self, account: &Account, cursor: Option<&str>) -> Answered<LiveOutcome> {
        let http = match request::live_calls(account, cursor) {
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

impl CallControl for Twilio {
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

    fn describe<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome<Description>>> {
        Box::pin(self.ask_for_description(account, call.id))
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

impl Callbacks for Twilio {
    fn read(
        &self,
        account: &Account,
        request: &CallbackRequest<'_>,
    ) -> Result<Callback, CallbackRefusal> {
        callback::read(account, request)
    }

    fn instructions(&self, _: &Account, instruction: &Instruction<'_>) -> Result<Reply, String> {
        twiml::render(instruction.answer, instruction.call_id).map(document)
    }

    fn rejection(&self) -> Reply {
        document(twiml::REJECTION.to_owned())
    }
}

fn document(twiml: String) -> Reply {
    Reply {
        status: 200,
        content_type: Some("text/xml"),
        body: twiml,
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

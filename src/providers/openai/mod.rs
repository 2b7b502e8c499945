//! OpenAI Realtime over SIP: calls that a model takes. Accept, reject, hang up; the webhook of an
//! incoming call and the websocket beside it.
//!
//! This file sends; it decides nothing. [`request`] builds what is asked, [`map`] says what the
//! answer means. The contract is <https://platform.openai.com/docs/guides/realtime-sip>.
//!
//! A call is answered when its session shows over the websocket, and over when they close it: they
//! tell neither otherwise. What an agent says is the model's instructions; OpenAI carries the
//! conversation itself, so an agent that streams takes no calls here.
//!
//! Limits: accounts take calls and place none; a call cannot be read and calls cannot be listed; of
//! a call that nobody accepted it cannot be told whether it is over, until it should have come.

mod callback;
mod feed;
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
    Commands, Deadlines, DialLookup, DialRequest, Feed, Instruction, Listens, NoFeed, ProviderCall,
    Reply, Stage, Subject,
};
use crate::{
    domain::{
        call::EndReason,
        provider::{
            Answered, Description, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome,
            LiveOutcome, LookupOutcome, ProviderAnswer,
        },
    },
    outbound::{self, Reach},
};
use feed::SideBand;

pub use keys::Keys;

/// The most that is read of an answer, in bytes: those that succeed have no body.
const MAX_BYTES: usize = 64 * 1024;

/// Idle connections that are kept for each host, so that a hang-up need not wait for TLS.
const IDLE_PER_HOST: usize = 32;

/// The adapter.
pub struct Openai {
    client: outbound::Client,
    deadlines: Deadlines,
}

impl Openai {
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
            client: outbound::Client::new(options)?,
            deadlines,
        })
    }

    /// A call that nobody accepted is not theirs to hang up: it is turned away.
    async fn ask_to_hang_up(
        &self,
        account: &Account,
        call: ProviderCall<'_>,
    ) -> Answered<HangUpOutcome> {
        let http = match request::hang_up(account, call.id) {
            Ok(http) => http,
            Err(problem) => return not_asked(HangUpOutcome::Refused, problem),
        };
        let heard = self.ask(http).await;
        let outcome = map::hang_up(call.answered, &heard);
        if outcome == HangUpOutcome::NotFound
            && !call.answered
            && let Ok(http) = request::reject(account, call.id)
        {
            let heard = self.ask(http).await;
            if map::command(&heard) == InstructOutcome::Done {
                return answered(HangUpOutcome::Accepted, account, &heard);
            }
        }
        answered(outcome, account, &heard)
    }

    async fn open(
        &self,
        account: &Account,
        call: Option<ProviderCall<'_>>,
    ) -> Result<Box<dyn Feed>, NoFeed> {
        let Some(call) = call else {
            return Err(NoFeed::Unavailable("there is one for each call".to_owned()));
        };
        let http = request::socket(account, call.id).map_err(NoFeed::Refused)?;
        let deadline = self.deadlines.dial;
        let opened = self.client.open_websocket(http, deadline, MAX_BYTES).await;
        let socket = opened.map_err(|why| map::not_opened(account, why))?;
        Ok(Box::new(SideBand::new(call.id, socket, !call.answered)))
    }

    async fn ask(&self, http: outbound::Request) -> map::Heard {
        let deadline = self.deadlines.hang_up;
        self.client.send(http, deadline, MAX_BYTES).await
    }
}

impl CallControl for Openai {
    fn dial<'a>(
        &'a self,
        _: &'a Account,
        _: DialRequest<'a>,
    ) -> BoxFuture<'a, Answered<DialOutcome>> {
        let reason = EndReason::ProviderRejected;
        let problem = "OpenAI accounts take calls and place none".to_owned();
        let refused = not_asked(DialOutcome::Refused { reason }, problem);
        Box::pin(std::future::ready(refused))
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
        _: &'a Account,
        _: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome>> {
        let problem = "a call cannot be read at OpenAI".to_owned();
        let unread = not_asked(FetchOutcome::Unsupported, problem);
        Box::pin(std::future::ready(unread))
    }

    fn describe<'a>(
        &'a self,
        _: &'a Account,
        _: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome<Description>>> {
        let problem = "a call cannot be read at OpenAI".to_owned();
        let unread = not_asked(FetchOutcome::Unsupported, problem);
        Box::pin(std::future::ready(unread))
    }

    fn find_dial<'a>(
        &'a self,
        _: &'a Account,
        _: DialLookup<'a>,
    ) -> BoxFuture<'a, Answered<LookupOutcome>> {
        // None was ever sent.
        let problem = "OpenAI accounts place no calls".to_owned();
        Box::pin(std::future::ready(not_asked(
            LookupOutcome::Nothing,
            problem,
        )))
    }

    fn list_live<'a>(
        &'a self,
        _: &'a Account,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Answered<LiveOutcome>> {
        let problem = "calls cannot be listed at OpenAI".to_owned();
        let unlisted = not_asked(LiveOutcome::Unsupported, problem);
        Box::pin(std::future::ready(unlisted))
    }
}

impl Callbacks for Openai {
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

impl Commands for Openai {
    fn instruct<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
        instruction: Instruction<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>> {
        Box::pin(async move {
            if instruction.stage == Stage::Answered {
                let problem = "the model has its instructions".to_owned();
                return not_asked(InstructOutcome::Done, problem);
            }
            match request::accept(account, call.id, instruction.answer) {
                Ok(http) => {
                    let heard = self.ask(http).await;
                    answered(map::accept(&heard), account, &heard)
                }
                Err(problem) => not_asked(InstructOutcome::Refused, problem),
            }
        })
    }

    fn reject<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>> {
        Box::pin(async move {
            match request::reject(account, call.id) {
                Ok(http) => {
                    let heard = self.ask(http).await;
                    answered(map::command(&heard), account, &heard)
                }
                Err(problem) => not_asked(InstructOutcome::Refused, problem),
            }
        })
    }
}

impl Listens for Openai {
    fn subject(&self) -> Subject {
        Subject::Call
    }

    fn wants(&self, _: &Account) -> bool {
        true
    }

    fn connect<'a>(
        &'a self,
        account: &'a Account,
        call: Option<ProviderCall<'a>>,
    ) -> BoxFuture<'a, Result<Box<dyn Feed>, NoFeed>> {
        Box::pin(self.open(account, call))
    }
}

fn answered<T>(outcome: T, account: &Account, heard: &map::Heard) -> Answered<T> {
    Answered {
        outcome,
        answer: map::answer(account, heard),
    }
}

/// The outcome of a request that was not made.
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

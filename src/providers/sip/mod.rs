//! SIP bridges: machines of the customer's own that put calls on SIP trunks. Three kinds, told by
//! the member `bridge` of an account's credentials:
//!
//! | bridge | commands | what it tells |
//! |---|---|---|
//! | `asterisk` | the REST interface of Asterisk | events over a websocket that we hold |
//! | `jambonz` | the REST API of jambonz | signed hooks, answered with its verbs |
//! | `http` | whatever URLs the customer names | signed reports, in a form of ours |
//!
//! This file knows which is which and nothing about any; each folder ties its own together. A
//! bridge has no host of its own: the account names it (`api_base_url`).
//!
//! The kind is commanded, because Asterisk is. What a call is to do at jambonz its hook was told
//! already when the command would be sent, so that is done at once.

mod asking;
mod asterisk;
mod http;
mod jambonz;
mod keys;
#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod samples;
mod signature;

use super::{
    Account, BoxFuture, CallControl, Callback, CallbackRefusal, CallbackRequest, Callbacks,
    Commands, Deadlines, DialLookup, DialRequest, Feed, Instruction, Listens, NoFeed, ProviderCall,
    Reply, Subject,
};
use crate::{
    domain::{
        call::EndReason,
        provider::{
            Answered, Description, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome,
            LiveOutcome, LookupOutcome, Progress,
        },
    },
    outbound::{self, Reach},
};

use asking::{Heard, not_a_bridge, not_asked};

pub use keys::Keys;

/// Idle connections that are kept for each host, so that a hang-up need not wait for TLS.
const IDLE_PER_HOST: usize = 32;

/// The adapter.
pub struct Sip {
    wires: Wires,
}

/// How bridges are reached.
struct Wires {
    /// For hang-ups, reads and websockets. Apart from dials, which may be many and slow: a hang-up
    /// never waits behind them for a connection.
    control: outbound::Client,
    dials: outbound::Client,
    deadlines: Deadlines,
}

impl Sip {
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
            wires: Wires {
                control: outbound::Client::new(options)?,
                dials: outbound::Client::new(options)?,
                deadlines,
            },
        })
    }
}

impl Wires {
    /// Asks within the deadline of a hang-up or a read.
    async fn ask(&self, request: outbound::Request, max_body: usize) -> Heard {
        let deadline = self.deadlines.hang_up;
        self.control.send(request, deadline, max_body).await
    }
}

impl CallControl for Sip {
    fn dial<'a>(
        &'a self,
        account: &'a Account,
        request: DialRequest<'a>,
    ) -> BoxFuture<'a, Answered<DialOutcome>> {
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => asterisk::dial(wires, account, keys, &request).await,
                Some(Keys::Jambonz(keys)) => jambonz::dial(wires, account, keys, &request).await,
                Some(Keys::Http(keys)) => http::dial(wires, account, keys, &request).await,
                None => not_a_bridge(DialOutcome::Refused {
                    reason: EndReason::PlatformError,
                }),
            }
        })
    }

    fn hang_up<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<HangUpOutcome>> {
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => {
                    asterisk::hang_up(wires, account, keys, call.id).await
                }
                Some(Keys::Jambonz(keys)) => jambonz::hang_up(wires, account, keys, call.id).await,
                Some(Keys::Http(keys)) => http::hang_up(wires, account, keys, call.id).await,
                None => not_a_bridge(HangUpOutcome::Refused),
            }
        })
    }

    fn fetch<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome>> {
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => asterisk::fetch(wires, account, keys, call).await,
                Some(Keys::Jambonz(keys)) => jambonz::fetch(wires, account, keys, call.id).await,
                Some(Keys::Http(_)) => not_asked(
                    FetchOutcome::Unsupported,
                    "a plain bridge cannot be asked about a call".to_owned(),
                ),
                None => not_a_bridge(FetchOutcome::Refused),
            }
        })
    }

    /// Who calls whom is not read: whoever asks has to say it.
    fn describe<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<FetchOutcome<Description>>> {
        Box::pin(async move {
            let read = self.fetch(account, call).await;
            let outcome = match read.outcome {
                // Asterisk has the same words for a channel that is gone and one that never was.
                FetchOutcome::Found(observation)
                    if matches!(observation.progress, Progress::Ended { .. }) =>
                {
                    FetchOutcome::NotFound
                }
                FetchOutcome::Found(observation) => FetchOutcome::Found(Description {
                    observation,
                    tells_progress: true,
                    parties: None,
                }),
                FetchOutcome::NotFound => FetchOutcome::NotFound,
                FetchOutcome::Unavailable { after } => FetchOutcome::Unavailable { after },
                FetchOutcome::Unsupported => FetchOutcome::Unsupported,
                FetchOutcome::Refused => FetchOutcome::Refused,
            };
            Answered {
                outcome,
                answer: read.answer,
            }
        })
    }

    fn find_dial<'a>(
        &'a self,
        account: &'a Account,
        lookup: DialLookup<'a>,
    ) -> BoxFuture<'a, Answered<LookupOutcome>> {
        const UNCLEAR: LookupOutcome = LookupOutcome::Unavailable { after: None };
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => {
                    asterisk::find_dial(wires, account, keys, &lookup).await
                }
                Some(Keys::Jambonz(keys)) => {
                    jambonz::find_dial(wires, account, keys, &lookup).await
                }
                Some(Keys::Http(_)) => not_asked(
                    UNCLEAR,
                    "a plain bridge cannot be asked about a dial".to_owned(),
                ),
                None => not_a_bridge(UNCLEAR),
            }
        })
    }

    fn list_live<'a>(
        &'a self,
        account: &'a Account,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, Answered<LiveOutcome>> {
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => asterisk::list_live(wires, account, keys).await,
                Some(Keys::Jambonz(keys)) => jambonz::list_live(wires, account, keys).await,
                Some(Keys::Http(_)) => not_asked(
                    LiveOutcome::Unsupported,
                    "a plain bridge has no list of calls".to_owned(),
                ),
                None => not_a_bridge(LiveOutcome::Refused),
            }
        })
    }
}

impl Callbacks for Sip {
    fn read(
        &self,
        account: &Account,
        request: &CallbackRequest<'_>,
    ) -> Result<Callback, CallbackRefusal> {
        match Keys::of(account) {
            Some(Keys::Jambonz(keys)) => jambonz::read(account, keys, request),
            Some(Keys::Http(keys)) => http::read(keys, request),
            // Asterisk tells over its websocket, so whoever sends this is somebody else.
            Some(Keys::Asterisk(_)) => Err(CallbackRefusal::Signature),
            None => Err(CallbackRefusal::WrongAccount),
        }
    }

    fn instructions(
        &self,
        account: &Account,
        instruction: &Instruction<'_>,
    ) -> Result<Reply, String> {
        match Keys::of(account) {
            Some(Keys::Jambonz(_)) => jambonz::instructions(instruction),
            Some(Keys::Asterisk(_) | Keys::Http(_)) | None => Ok(Reply::empty()),
        }
    }

    /// In jambonz's verbs: the others look at no body.
    fn rejection(&self) -> Reply {
        jambonz::rejection()
    }
}

impl Commands for Sip {
    fn instruct<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
        instruction: Instruction<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>> {
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => {
                    asterisk::instruct(wires, account, keys, call.id, &instruction).await
                }
                Some(Keys::Jambonz(_)) => not_asked(
                    InstructOutcome::Done,
                    "its hook was answered with what to do".to_owned(),
                ),
                Some(Keys::Http(_)) => not_asked(
                    InstructOutcome::Done,
                    "a plain bridge decides by itself what a call hears".to_owned(),
                ),
                None => not_a_bridge(InstructOutcome::Refused),
            }
        })
    }

    fn reject<'a>(
        &'a self,
        account: &'a Account,
        call: ProviderCall<'a>,
    ) -> BoxFuture<'a, Answered<InstructOutcome>> {
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => asterisk::reject(wires, account, keys, call.id).await,
                Some(Keys::Jambonz(_) | Keys::Http(_)) => not_asked(
                    InstructOutcome::Done,
                    "its hook was answered with a rejection".to_owned(),
                ),
                None => not_a_bridge(InstructOutcome::Refused),
            }
        })
    }
}

impl Listens for Sip {
    fn subject(&self) -> Subject {
        Subject::Account
    }

    fn wants(&self, account: &Account) -> bool {
        matches!(Keys::of(account), Some(Keys::Asterisk(_)))
    }

    fn connect<'a>(
        &'a self,
        account: &'a Account,
        _: Option<ProviderCall<'a>>,
    ) -> BoxFuture<'a, Result<Box<dyn Feed>, NoFeed>> {
        let wires = &self.wires;
        Box::pin(async move {
            match Keys::of(account) {
                Some(Keys::Asterisk(keys)) => asterisk::listen(wires, account, keys).await,
                Some(Keys::Jambonz(_) | Keys::Http(_)) | None => {
                    let text = "this bridge reports by requests of its own";
                    Err(NoFeed::Refused(text.to_owned()))
                }
            }
        })
    }
}

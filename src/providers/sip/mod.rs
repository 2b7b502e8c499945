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

mod asterisk;
mod http;
mod jambonz;
mod keys;
#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod samples;
mod signature;

use axum::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Account, BoxFuture, CallControl, Callback, CallbackRefusal, CallbackRequest, Callbacks,
    Commands, Deadlines, DialLookup, DialRequest, Feed, Instruction, Listens, NoFeed, ProviderCall,
    Reply, Subject, answer::plain, base_url,
};
use crate::{
    domain::{
        call::EndReason,
        provider::{
            Answered, DialOutcome, FetchOutcome, HangUpOutcome, InstructOutcome, LiveOutcome,
            LookupOutcome, ProviderAnswer,
        },
    },
    outbound::{self, Answer, Failure, Reach},
};

pub use keys::Keys;

/// Idle connections that are kept for each host, so that a hang-up need not wait for TLS.
const IDLE_PER_HOST: usize = 32;

/// All but the unreserved characters of RFC 3986 section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What came back: an answer, or why there is none.
type Heard = Result<Answer, Failure>;

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

/// What a bridge is sent.
#[derive(Clone, Copy)]
enum Content<'a> {
    Nothing,
    Json(&'a Value),
}

/// `path` below the account's own address, which it must name: a bridge has no usual one. `path` is
/// encoded already and begins with a slash.
///
/// # Errors
/// What is wrong with the account's setting, for its owner.
fn url(account: &Account, path: &str) -> Result<Url, String> {
    let Some(base) = account.api_base_url.as_deref() else {
        return Err("the account needs the address of its bridge as its API base URL".to_owned());
    };
    let mut url = base_url::of(account, base)?;
    let path = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// # Errors
/// That the credentials cannot stand in a header.
fn request(
    method: Method,
    url: Url,
    authorization: &str,
    content: Content<'_>,
) -> Result<outbound::Request, String> {
    let mut value = outbound::header_value(authorization)
        .ok_or_else(|| "the account's credentials cannot be sent".to_owned())?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(reqwest::header::AUTHORIZATION, value);
    let body = match content {
        Content::Nothing => Bytes::new(),
        Content::Json(value) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            value.to_string().into()
        }
    };
    Ok(outbound::Request {
        method,
        url,
        headers,
        body,
    })
}

/// What a bridge literally said; `words` finds its own text in the body of a refusal.
fn answer(
    heard: &Heard,
    secrets: &[String],
    words: impl Fn(&[u8]) -> Option<String>,
) -> ProviderAnswer {
    let answer = match heard {
        Ok(answer) => answer,
        Err(failure) => {
            return ProviderAnswer {
                status: None,
                code: None,
                message: plain(&failure.to_string(), secrets),
            };
        }
    };
    let is_refusal = !(200..=299).contains(&answer.status);
    let text = || {
        words(&answer.body).unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned())
    };
    ProviderAnswer {
        status: Some(answer.status),
        code: None,
        message: is_refusal.then(text).and_then(|text| plain(&text, secrets)),
    }
}

/// The outcome of a request that was not made.
fn not_asked<T>(outcome: T, why: String) -> Answered<T> {
    Answered {
        outcome,
        answer: ProviderAnswer {
            status: None,
            code: None,
            message: Some(why),
        },
    }
}

fn not_a_bridge<T>(outcome: T) -> Answered<T> {
    not_asked(outcome, "the account is not a bridge's".to_owned())
}

/// A body as one of a bridge's shapes; `None` when it is something else, such as a proxy's page.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// A member of an unexpected kind is as good as absent: no answer may become unreadable by a member
/// that we could do without.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// The same without U+0000, for what is stored. After it is proven to come from the bridge only.
fn storable(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(items) => items.into_iter().map(storable).collect(),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name.replace('\0', ""), storable(value)))
                .collect(),
        ),
        other => other,
    }
}

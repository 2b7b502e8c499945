//! Applies what a provider told of its own accord, whichever way it came: by a callback or over a
//! websocket that we hold. That it came from the provider is proven before.

use serde_json::Value;

use super::{
    observe::{self, News, Observed, Report},
    receive::{self, Arrival, Received},
};
use crate::{
    app::App,
    domain::{
        CallId, OrgScope, ProviderAccountId, Result, agent::AgentSettings, call::Call,
        provider::Told,
    },
};

/// Something that a provider told.
#[derive(Clone, Debug)]
pub struct Hearing {
    pub provider_account_id: ProviderAccountId,
    /// The same for every repetition.
    pub receipt_key: String,
    pub told: Told,
    /// As it arrived, for the inbox.
    pub body: Value,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Learnt {
    /// A call came in and is an agent's: to be answered as its settings say.
    Incoming {
        call: Box<Call>,
        settings: AgentSettings,
    },
    /// A call came in that nobody takes: to be turned away.
    NotTaken {
        provider_call_id: String,
        host: Option<String>,
    },
    /// A report on a call.
    Observed(Observed),
}

/// Applies what was told about the call that we named `call_id`, or, when it came without a name of
/// ours, about the call that it names itself. Durable when this returns; repeating it changes
/// nothing.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`: it must be told again.
pub async fn hear(
    app: &App,
    scope: OrgScope,
    call_id: Option<CallId>,
    hearing: Hearing,
) -> Result<Learnt> {
    let Hearing {
        provider_account_id,
        receipt_key,
        told,
        body,
    } = hearing;
    let news = match told {
        Told::Incoming(call) => {
            let arrival = Arrival {
                provider_account_id,
                receipt_key,
                provider_call_id: call.provider_call_id,
                from: call.from,
                to: call.to,
                host: call.host,
                answered_by_reply: call.answered_by_reply,
                body,
            };
            return Ok(match receive::receive(app, scope, &arrival).await? {
                Received::Taken { call, settings } => Learnt::Incoming { call, settings },
                Received::NotTaken => Learnt::NotTaken {
                    provider_call_id: arrival.provider_call_id,
                    host: arrival.host,
                },
            });
        }
        Told::Progress(observation) => News::Progress(observation),
        Told::Finished { provider_call_id } => News::Finished { provider_call_id },
        Told::Nothing => News::Nothing,
    };
    let report = Report {
        provider_account_id,
        receipt_key,
        news,
        body,
    };
    let observed = observe::report(app, scope, call_id, &report).await?;
    Ok(Learnt::Observed(observed))
}

//! Pure: jambonz's hooks. First the proof that it sent them, then what they say.
//!
//! The hook that asks what a call is to do and the one that reports have the same form and, for
//! calls that we dial, the same URL. What is answered to a report is not looked at, so whichever
//! may ask is answered.
//!
//! The URL is not signed, so a hook is held to the call that its tag names, which is.

use super::{
    super::{
        asking::{parse, storable},
        keys::JambonzKeys as Keys,
        signature,
    },
    map,
    wire::Call,
};
use crate::{
    domain::provider::{Progress, Source},
    providers::{Account, Callback, CallbackRefusal, CallbackRequest, IncomingCall, Told},
};

const SIGNATURE: &str = "jambonz-signature";

/// Checks and reads a hook.
///
/// # Errors
/// [`CallbackRefusal`]; nothing is said about a body whose signature does not hold or is too old.
pub(in crate::providers::sip) fn read(
    account: &Account,
    keys: &Keys,
    request: &CallbackRequest<'_>,
) -> Result<Callback, CallbackRefusal> {
    signature::verify(request, SIGNATURE, &keys.webhook_secret)?;
    if request.method != "POST" {
        return Err(malformed("only POST was asked for"));
    }
    let call: Call = parse(request.body).ok_or_else(|| malformed("the body is not a call"))?;
    // One secret may sign for several accounts of a customer's.
    if call.account_sid.as_deref() != Some(account.external_id.as_str()) {
        return Err(CallbackRefusal::WrongAccount);
    }
    if request.call_id.is_some() && call.reference() != request.call_id {
        return Err(malformed("the tag does not name the call of the URL"));
    }
    let inbound = call.direction.as_deref() == Some("inbound");
    let observation = map::observation(&call, Source::Callback);
    let begins = observation
        .as_ref()
        .is_some_and(|it| it.progress == Progress::Placed);
    let answered = observation
        .as_ref()
        .is_some_and(|it| it.progress == Progress::Answered);
    let told = match observation {
        Some(observation) if inbound && begins && request.call_id.is_none() => {
            Told::Incoming(IncomingCall {
                provider_call_id: observation.provider_call_id,
                from: call.from.clone().unwrap_or_default(),
                to: call.to.clone().unwrap_or_default(),
                host: None,
                answered_by_reply: false,
            })
        }
        Some(observation) => Told::Progress(observation),
        None => Told::Nothing,
    };
    Ok(Callback {
        receipt_key: signature::receipt_key(request.body),
        told,
        asks: answered && !inbound,
        // They do not count their reports.
        sequence: None,
        raw: storable(parse(request.body).unwrap_or_default()),
    })
}

fn malformed(what: &str) -> CallbackRefusal {
    CallbackRefusal::Malformed(what.to_owned())
}

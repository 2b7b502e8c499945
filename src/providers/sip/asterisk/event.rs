//! Pure: what Asterisk tells over its websocket.
//!
//! Proven to come from Asterisk by the connection, which we opened with the account's credentials.
//! Events have no names and come once; one is known by the whole of its text.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    super::asking::{parse, storable},
    request::is_channel_id,
    wire::{self, Event},
};
use crate::{
    domain::{
        call::{CallStatus, EndReason},
        provider::{Observation, Progress, Source},
    },
    providers::{Callback, IncomingCall, Told},
};

/// What an event is.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// To be told.
    Told(Callback),
    /// To be told, once its end will be told too: the channel of this id came in.
    Arrived(String, Callback),
    /// Another connection gets the application's events from now on.
    Replaced,
    /// Nothing about a call of the application's.
    Nothing,
}

/// Reads an event for the application `app`.
pub(super) fn read(app: &str, text: &str) -> Read {
    let Some(event) = parse::<Event>(text.as_bytes()) else {
        return Read::Nothing;
    };
    if event.application.as_deref() != Some(app) {
        return Read::Nothing;
    }
    let told = match event.kind.as_str() {
        "ApplicationReplaced" => return Read::Replaced,
        "StasisStart" => entered(&event),
        "ChannelStateChange" => event
            .channel
            .as_ref()
            .and_then(|channel| progress(channel.state.as_deref()))
            .and_then(|progress| observed(&event, progress)),
        "ChannelDestroyed" => observed(&event, ended(&event)),
        _ => None,
    };
    let Some(told) = told else {
        return Read::Nothing;
    };
    let arrived = match &told {
        Told::Incoming(call) => Some(call.provider_call_id.clone()),
        Told::Progress(_) | Told::Finished { .. } | Told::Nothing => None,
    };
    let callback = Callback {
        receipt_key: receipt_key(text),
        told,
        asks: false,
        // They are not counted.
        sequence: None,
        raw: storable(parse(text.as_bytes()).unwrap_or_default()),
    };
    match arrived {
        Some(id) => Read::Arrived(id, callback),
        None => Read::Told(callback),
    }
}

/// A channel enters the application: one that we dialled when it is answered, which it brings our
/// own name along for; any other came in.
fn entered(event: &Event) -> Option<Told> {
    let channel = event.channel.as_ref()?;
    let id = channel.id.as_deref().filter(|id| is_channel_id(id))?;
    let args = event.args.as_deref().unwrap_or_default();
    if args.first().is_some_and(|first| first == id) {
        return observed(event, progress(channel.state.as_deref())?);
    }
    let number = channel.caller.as_ref().and_then(|it| it.number.clone());
    let exten = channel.dialplan.as_ref().and_then(|it| it.exten.clone());
    Some(Told::Incoming(IncomingCall {
        provider_call_id: id.to_owned(),
        from: number.unwrap_or_default(),
        to: exten.unwrap_or_default(),
        host: None,
        answered_by_reply: false,
    }))
}

fn observed(event: &Event, progress: Progress) -> Option<Told> {
    let id = event.channel.as_ref()?.id.clone();
    Some(Told::Progress(Observation {
        provider_call_id: id.filter(|id| is_channel_id(id))?,
        progress,
        at: event.timestamp.as_deref().and_then(wire::instant),
        source: Source::Socket,
        host: None,
    }))
}

/// How far a channel in `state` has come; `None`: nothing that counts.
pub(super) fn progress(state: Option<&str>) -> Option<Progress> {
    match state {
        // The far end rings; or the channel came in and waits to be answered.
        Some("Ringing" | "Ring") => Some(Progress::Ringing),
        Some("Up") => Some(Progress::Answered),
        _ => None,
    }
}

/// How a channel ended. One that was up was answered. Of any other the final SIP status decides,
/// and the Q.850 cause where there is none; one that came in was given up by its caller.
fn ended(event: &Event) -> Progress {
    let state = event.channel.as_ref().and_then(|it| it.state.as_deref());
    let (status, reason) = match (state, event.tech_cause) {
        (Some("Up"), _) => (CallStatus::Completed, None),
        (_, Some(status)) if status >= 300 => by_sip_status(status),
        (Some("Ring"), _) => (CallStatus::Canceled, Some(EndReason::RemoteHangup)),
        _ => by_cause(event.cause),
    };
    let cause: Map<String, Value> = [
        ("cause", event.cause.map(Value::from)),
        (
            "cause_txt",
            event
                .cause_txt
                .as_deref()
                .map(|text| text.replace('\0', "").into()),
        ),
        ("tech_cause", event.tech_cause.map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    Progress::Ended {
        status,
        connected_seconds: None,
        reason,
        cause: cause.into(),
    }
}

/// RFC 3261 section 21.
fn by_sip_status(status: i64) -> (CallStatus, Option<EndReason>) {
    match status {
        486 | 600 => (CallStatus::Busy, None),
        408 | 480 => (CallStatus::NoAnswer, None),
        487 => (CallStatus::Canceled, None),
        603 | 607 => (CallStatus::Failed, Some(EndReason::Declined)),
        404 | 410 | 484 | 604 => (CallStatus::Failed, Some(EndReason::InvalidDestination)),
        _ => (CallStatus::Failed, None),
    }
}

/// ITU-T Q.850. Cleared in order, or without a cause, before anybody answered: whoever called gave
/// up.
fn by_cause(cause: Option<i64>) -> (CallStatus, Option<EndReason>) {
    match cause {
        Some(0 | 16 | 26) | None => (CallStatus::Canceled, None),
        Some(17) => (CallStatus::Busy, None),
        Some(18 | 19) => (CallStatus::NoAnswer, None),
        Some(21) => (CallStatus::Failed, Some(EndReason::Declined)),
        Some(1 | 2 | 3 | 22 | 28) => (CallStatus::Failed, Some(EndReason::InvalidDestination)),
        Some(_) => (CallStatus::Failed, None),
    }
}

fn receipt_key(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

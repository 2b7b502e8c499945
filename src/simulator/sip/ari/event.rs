//! What Asterisk tells of a channel, in the order that was seen.

use serde_json::{Value, json};

use super::channel;
use crate::simulator::call::{Event, Record, Report, State};

/// The events that tell `report`. Of a channel that came in, the end is told only to who has
/// subscribed to it.
pub(super) fn events(report: &Report, subscribed: bool) -> Vec<String> {
    let call = &report.call;
    let plain = |kind: &str| event(report, kind, json!({}));
    let events = match report.event {
        Event::Initiated => vec![dial(report, "")],
        Event::Ringing => vec![plain("ChannelStateChange"), dial(report, "RINGING")],
        Event::Answered if call.inbound => vec![plain("ChannelStateChange")],
        Event::Answered => vec![
            plain("ChannelStateChange"),
            dial(report, "ANSWER"),
            event(report, "StasisStart", json!({ "args": args(call) })),
        ],
        Event::Arrived => vec![event(report, "StasisStart", json!({ "args": [] }))],
        Event::Completed => ending(report, subscribed),
        Event::Spoken | Event::Asks => Vec::new(),
    };
    events.iter().map(Value::to_string).collect()
}

fn args(call: &Record) -> Vec<&str> {
    let args = call.client_state.as_deref().unwrap_or_default();
    args.split(',').filter(|arg| !arg.is_empty()).collect()
}

fn ending(report: &Report, subscribed: bool) -> Vec<Value> {
    let call = &report.call;
    let (cause, cause_txt, tech_cause) = cause(call);
    let mut destroyed = json!({ "cause": cause, "cause_txt": cause_txt });
    if let (Some(status), Some(members)) = (tech_cause, destroyed.as_object_mut()) {
        members.insert("tech_cause".to_owned(), status.into());
    }
    let request = if call.hangups_carried_out > 0 {
        json!({ "cause": 32, "soft": true })
    } else {
        json!({})
    };
    let mut events = vec![event(report, "ChannelHangupRequest", request)];
    if call.inbound || call.answered_at.is_some() {
        events.push(event(report, "StasisEnd", json!({})));
    }
    if subscribed {
        events.push(event(report, "ChannelDestroyed", destroyed));
    }
    events
}

/// The Q.850 cause, its name, and the final SIP status where the far end gave one.
fn cause(call: &Record) -> (u16, &'static str, Option<u16>) {
    match (call.state, call.sip_code) {
        (State::Busy, code) => (17, "User busy", code),
        (State::NoAnswer, _) => (19, "User alerting, no answer", Some(480)),
        (State::Failed, Some(603)) => (21, "Call Rejected", Some(603)),
        (State::Failed, Some(404)) => (1, "Unallocated (unassigned) number", Some(404)),
        (State::Failed, code) => (34, "Circuit/channel congestion", code),
        _ if call.reached_time_limit => (0, "Unknown", None),
        _ => (16, "Normal Clearing", None),
    }
}

/// Of a dial. It names the channel as its peer, and is nothing to who looks for channels.
fn dial(report: &Report, status: &str) -> Value {
    json!({
        "type": "Dial",
        "timestamp": channel::instant(report.at),
        "dialstatus": status,
        "forward": "",
        "dialstring": "trunk",
        "peer": channel::shown(&report.call),
        "asterisk_id": ASTERISK_ID,
        "application": report.call.account,
    })
}

const ASTERISK_ID: &str = "02:fc:00:00:00:01";

fn event(report: &Report, kind: &str, more: Value) -> Value {
    let mut event = json!({
        "type": kind,
        "timestamp": channel::instant(report.at),
        "channel": channel::shown(&report.call),
        "asterisk_id": ASTERISK_ID,
        "application": report.call.account,
    });
    if let (Some(members), Value::Object(more)) = (event.as_object_mut(), more) {
        members.extend(more);
    }
    event
}

//! A call as jambonz shows it, when it is read and in its hooks.

use serde_json::{Value, json};

use crate::simulator::call::{Record, State};

pub(super) fn shown(call: &Record) -> Value {
    let (status, sip_status, sip_reason) = status(call);
    let mut shown = json!({
        "call_sid": call.id,
        "account_sid": call.account,
        "call_id": format!("{}@127.0.0.1", call.id),
        "direction": if call.inbound { "inbound" } else { "outbound" },
        "from": call.from,
        "to": call.to,
        "call_status": status,
        "sip_status": sip_status,
        "sip_reason": sip_reason,
        "service_url": "http://127.0.0.1:3000",
    });
    let Some(members) = shown.as_object_mut() else {
        return shown;
    };
    let tag = call.client_state.as_deref();
    if let Some(tag) = tag.and_then(|tag| serde_json::from_str::<Value>(tag).ok()) {
        members.insert("customer_data".to_owned(), tag);
    }
    if let Some(seconds) = call.connected_seconds() {
        members.insert("duration".to_owned(), seconds.into());
        // The bridge itself, or the party at the other end, whichever way the call went.
        let by = if call.hangups_carried_out > 0 {
            "jambonz"
        } else {
            "caller"
        };
        members.insert("call_termination_by".to_owned(), by.into());
    }
    shown
}

/// What it is called there, with the SIP status that goes with it. A call that is given up while
/// it rings was not answered.
fn status(call: &Record) -> (&'static str, u16, &'static str) {
    match call.state {
        State::Queued => ("trying", 100, "Trying"),
        // The first word of a call that comes in.
        State::Ringing if call.inbound => ("trying", 100, "Trying"),
        State::Ringing => ("ringing", 180, "Ringing"),
        State::InProgress => ("in-progress", 200, "OK"),
        State::Completed => ("completed", 200, "OK"),
        State::Busy => ("busy", call.sip_code.unwrap_or(486), "Busy Here"),
        State::NoAnswer | State::Canceled => ("no-answer", 487, "Request Terminated"),
        State::Failed => ("failed", call.sip_code.unwrap_or(500), "Failed"),
    }
}

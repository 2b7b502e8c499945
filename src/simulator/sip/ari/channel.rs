//! A channel as Asterisk shows it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    domain::Timestamp,
    simulator::call::{Record, State},
};

pub(super) fn shown(call: &Record) -> Value {
    let (caller, connected) = if call.inbound {
        (call.from.as_str(), "")
    } else {
        (call.from.as_str(), call.from.as_str())
    };
    let in_app = call.inbound || call.state == State::InProgress;
    let args = call.client_state.as_deref().filter(|_| !call.inbound);
    let app_data = match args {
        Some(args) => format!("{},{args}", call.account),
        None => call.account.clone(),
    };
    json!({
        "id": call.id,
        "name": format!("PJSIP/trunk-{}", serial(call)),
        "state": state(call),
        "protocol_id": format!("{}@127.0.0.1", serial(call)),
        "caller": { "name": "", "number": caller },
        "connected": { "name": "", "number": connected },
        "accountcode": "",
        "dialplan": {
            "context": "incoming",
            "exten": if call.inbound { call.to.as_str() } else { "s" },
            "priority": 1,
            "app_name": if in_app { "Stasis" } else { "AppDial2" },
            "app_data": if in_app { app_data } else { "(Outgoing Line)".to_owned() },
        },
        "creationtime": instant(call.created_at),
        "language": "en",
    })
}

/// The channel's state; of one that is over, the last.
fn state(call: &Record) -> &'static str {
    match (call.answered_at, call.inbound, call.ringing_at) {
        (Some(_), ..) => "Up",
        (None, true, _) => "Ring",
        (None, false, Some(_)) => "Ringing",
        (None, false, None) => "Down",
    }
}

fn serial(call: &Record) -> String {
    let digest = Sha256::digest(&call.id);
    BASE64_URL_SAFE_NO_PAD.encode(digest).split_off(36)
}

/// As in `2026-11-21T07:25:29.687+0000`.
pub(super) fn instant(instant: Timestamp) -> String {
    instant.to_string().replace('Z', "+0000")
}

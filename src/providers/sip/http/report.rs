//! Pure: what a plain bridge reports, in a form of ours: first the proof that it sent it.
//!
//! `POST` to the URL that the dial named, or to the account's, with the header
//! `Onhook-Bridge-Signature` (see `signature.rs`) and the body
//! `{"id", "call_id", "event", "status"?, "at"?, "cause"?}`. `id` names the report; `event` is
//! `ringing`, `answered` or `ended`; of an end, `status` is one of the words that calls end with
//! here, `cause` anything. `at` is RFC 3339.

use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        asking::{lenient, parse, storable},
        signature,
    },
    keys::Keys,
    request::is_call_id,
};
use crate::{
    domain::{
        Timestamp,
        call::CallStatus,
        provider::{Observation, Progress, Source},
    },
    providers::{Callback, CallbackRefusal, CallbackRequest, Told},
};

const SIGNATURE: &str = "onhook-bridge-signature";

/// The longest name of a report, in bytes.
const MOST_ID_BYTES: usize = 100;

#[derive(Debug, Deserialize)]
struct Report {
    id: String,
    call_id: String,
    event: String,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    cause: Option<Value>,
}

/// Checks and reads a report.
///
/// # Errors
/// [`CallbackRefusal`]; nothing is said about a body whose signature does not hold or is too old.
pub(in crate::providers::sip) fn read(
    keys: &Keys,
    request: &CallbackRequest<'_>,
) -> Result<Callback, CallbackRefusal> {
    let secret = keys.webhook_secret.as_ref();
    let secret = secret.ok_or(CallbackRefusal::Signature)?;
    signature::verify(request, SIGNATURE, secret)?;
    if request.method != "POST" {
        return Err(malformed("a report is sent by POST"));
    }
    let report: Report = parse(request.body)
        .ok_or_else(|| malformed("the body must be JSON with id, call_id and event"))?;
    if report.id.is_empty()
        || report.id.len() > MOST_ID_BYTES
        || !report.id.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(malformed("id must be one word of at most 100 bytes"));
    }
    if !is_call_id(&report.call_id) {
        return Err(malformed("call_id is not a call's name"));
    }
    // The URL is not signed.
    let named = request.call_id.map(|id| id.to_string());
    if named.is_some_and(|named| named != report.call_id) {
        return Err(malformed("call_id does not name the call of the URL"));
    }
    let progress = progress(&report)?;
    Ok(Callback {
        told: progress.map_or(Told::Nothing, |progress| {
            Told::Progress(Observation {
                provider_call_id: report.call_id,
                progress,
                at: report.at,
                source: Source::Callback,
                host: None,
            })
        }),
        receipt_key: report.id,
        asks: false,
        sequence: None,
        raw: storable(parse(request.body).unwrap_or_default()),
    })
}

fn progress(report: &Report) -> Result<Option<Progress>, CallbackRefusal> {
    Ok(Some(match report.event.as_str() {
        "ringing" => Progress::Ringing,
        "answered" => Progress::Answered,
        "ended" => Progress::Ended {
            status: report
                .status
                .as_ref()
                .and_then(|status| status.parse().ok())
                .filter(|status: &CallStatus| status.is_terminal())
                .ok_or_else(|| {
                    malformed("status must be completed, failed, busy, no-answer or canceled")
                })?,
            connected_seconds: None,
            reason: None,
            cause: storable(report.cause.clone().unwrap_or_default()),
        },
        _ => return Ok(None),
    }))
}

fn malformed(what: &str) -> CallbackRefusal {
    CallbackRefusal::Malformed(what.to_owned())
}

//! SIP bridges as seen on the wire: Asterisk below `{base_url}/sip/ari`, jambonz below
//! `{base_url}/sip/v1`, and a bridge of a customer's own below `{base_url}/sip/bridge`.
//!
//! An account's name tells which bridge it is: a UUID is an account of jambonz, one that begins
//! with `own-` a plain bridge, any other a Stasis application of Asterisk. Faults that were ordered
//! for `sip` strike all three.

mod ari;
mod jambonz;
mod own;

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

pub(super) use ari::Listeners;

use super::{
    call::{CallbackTarget, CopyKind, Record, Report},
    listener::{Asked, Handled, Reply},
    switchboard::Switchboard,
};
use crate::{
    domain::{Timestamp, provider::ProviderKind},
    outbound,
};

const SIP: ProviderKind = ProviderKind::Sip;

#[derive(Clone, Copy)]
enum Bridge {
    Asterisk,
    Jambonz,
    Own,
}

impl Bridge {
    fn of(account: &str) -> Self {
        if account.parse::<uuid::Uuid>().is_ok() {
            Self::Jambonz
        } else if account.starts_with("own-") {
            Self::Own
        } else {
            Self::Asterisk
        }
    }
}

/// What the account is connected with.
pub(super) fn credentials(account: &str, secret: &str) -> Value {
    match Bridge::of(account) {
        Bridge::Asterisk => ari::credentials(account, secret),
        Bridge::Jambonz => jambonz::credentials(account, secret),
        Bridge::Own => own::credentials(secret),
    }
}

/// Where an account without an address of its own is told of calls that come in: at Asterisk by
/// its events.
pub(super) fn incoming_url(provider: ProviderKind, account: &str) -> Option<String> {
    let by_events = provider == SIP && matches!(Bridge::of(account), Bridge::Asterisk);
    by_events.then(|| ari::EVENTS.to_owned())
}

/// A name for a call that comes in.
pub(super) fn call_id(account: &str, random: [u8; 16], now: Timestamp) -> String {
    match Bridge::of(account) {
        Bridge::Asterisk => ari::channel_id(random, now),
        Bridge::Jambonz | Bridge::Own => uuid::Builder::from_random_bytes(random)
            .into_uuid()
            .to_string(),
    }
}

/// Answers a request whose path, relative to this face, is `path`.
///
/// It runs as a task of its own: a customer that hangs up the connection while a slow bridge thinks
/// does not stop the bridge from acting.
pub(super) async fn answer(board: Arc<Switchboard>, asked: Asked, path: String) -> Handled {
    let tasks = board.ambient.tasks.clone();
    let work = tasks.spawn(async move {
        let first = path.split('/').nth(1).unwrap_or_default();
        match first {
            "ari" => ari::respond(&board, &asked, &path).await,
            "v1" => jambonz::respond(&board, &asked, &path).await,
            "bridge" => own::respond(&board, &asked, &path).await,
            _ => Handled::Answer(Reply::empty(404)),
        }
    });
    work.await.unwrap_or(Handled::Abort)
}

/// The request that tells `report` to `target`, signed at `now`. `None` when it is told otherwise
/// or not at all.
pub(super) fn callback(
    report: &Report,
    target: &CallbackTarget,
    secret: &str,
    id: &str,
    now: Timestamp,
) -> Option<outbound::Request> {
    match Bridge::of(&report.call.account) {
        Bridge::Asterisk => None,
        Bridge::Jambonz => jambonz::hook(report, target, secret, now),
        Bridge::Own => own::report(report, target, secret, id, now),
    }
}

/// Tells `report` over the websocket of its account, at a bridge that has one: the answers to it.
pub(super) fn tell(
    board: &Switchboard,
    report: &Report,
    copy: CopyKind,
) -> Option<Vec<Option<u16>>> {
    let by_events =
        report.call.provider == SIP && matches!(Bridge::of(&report.call.account), Bridge::Asterisk);
    by_events.then(|| ari::tell(board, report, copy))
}

/// Does what the answer to a call that came in asks for.
pub(super) fn heed(board: &Arc<Switchboard>, call: &Record, answer: &outbound::Answer) {
    if matches!(Bridge::of(&call.account), Bridge::Jambonz) {
        jambonz::heed(board, call, answer);
    }
}

/// A secret that goes with an account's, for one purpose: whoever knows one does not know another.
fn derived(purpose: &str, secret: &str) -> String {
    let digest = Sha256::digest(format!("{purpose} {secret}"));
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

/// A report as JSON, signed in the header `name`: `t=<unix seconds>,v1=<hex>`, the HMAC-SHA256 of
/// the time, a dot and the body.
fn signed(
    name: &'static str,
    key: &str,
    url: &str,
    body: &Value,
    now: Timestamp,
) -> Option<outbound::Request> {
    let url = Url::parse(url).ok()?;
    let body = body.to_string();
    let time = now.unix_seconds();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(format!("{time}.{body}").as_bytes());
    let code = mac.finalize().into_bytes();
    let hex = code
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let value = HeaderValue::from_str(&format!("t={time},v1={hex}")).ok()?;
    headers.insert(HeaderName::from_static(name), value);
    Some(outbound::Request {
        method: Method::POST,
        url,
        headers,
        body: body.into(),
    })
}

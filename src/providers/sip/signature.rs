//! Pure: the proof that a report comes from a bridge: `t=<unix seconds>,v1=<hex>`, the HMAC-SHA256,
//! by a secret that only the two of us know, of the time, a dot and the body. jambonz signs so, and
//! plain bridges are asked to.
//!
//! The URL is no part of it: a report must be held to the URL's call by something in its body.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::providers::{CallbackRefusal, CallbackRequest};

/// How far from now, either way, a report may have been signed, in seconds.
const TOLERANCE: u64 = 300;

/// That the header `name` of `request` proves its body to come from whoever knows `secret`. In
/// constant time.
///
/// # Errors
/// [`CallbackRefusal::Signature`], for whatever reason.
pub(super) fn verify(
    request: &CallbackRequest<'_>,
    name: &str,
    secret: &str,
) -> Result<(), CallbackRefusal> {
    holds(request, name, secret)
        .filter(|signed_at| request.now.unix_seconds().abs_diff(*signed_at) <= TOLERANCE)
        .map(|_signed_at| ())
        .ok_or(CallbackRefusal::Signature)
}

/// When a body whose signature holds was signed.
fn holds(request: &CallbackRequest<'_>, name: &str, secret: &str) -> Option<i64> {
    let header = request.headers.get(name)?.to_str().ok()?;
    let part = |mark: &str| {
        header
            .split(',')
            .find_map(|part| part.trim().strip_prefix(mark))
    };
    let timestamp = part("t=")?;
    let signature = from_hex(part("v1=")?)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(request.body);
    mac.verify_slice(&signature).ok()?;
    timestamp.parse().ok()
}

/// Names a report by its whole body, for a bridge whose reports have no names.
pub(super) fn receipt_key(body: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

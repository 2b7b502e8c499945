//! Both kinds of token: the customer's, which lets a request in, and Vonage's, which proves a
//! webhook.
//!
//! Source: Vonage's documentation of authentication and of signed webhooks; RFC 7515 and 7519.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::Timestamp;

/// Making an RSA key takes longer than a test, so all applications have this one; what tells them
/// apart is the id that they claim.
const APPLICATION_KEY: &str = include_str!("application_key.pem");

/// How far ahead of ours a customer's clock may be, in seconds. This imitation's choice.
const AHEAD: i64 = 60;

/// The longest that a customer's token may hold, in seconds: a day, as documented.
const LONGEST: i64 = 86_400;

#[derive(Deserialize)]
struct Claims {
    application_id: String,
    iat: i64,
    jti: String,
    exp: i64,
}

/// What a customer connects the application with. The secret that signs webhooks and the account's
/// name come from `secret`, each by a hash of its own.
pub(in crate::simulator) fn credentials(application: &str, secret: &str) -> Value {
    json!({
        "application_id": application,
        "private_key": APPLICATION_KEY,
        "signature_secret": signature_secret(secret),
        "api_key": api_key(secret),
    })
}

/// The application that an `Authorization` header's value is for, when its token holds at `now`.
pub(super) fn application(authorization: &str, now: Timestamp) -> Option<String> {
    let token = authorization.strip_prefix("Bearer ")?;
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
    let is = |name, value: &str| header.get(name).and_then(Value::as_str) == Some(value);
    let typed = is("alg", "RS256") && is("typ", "JWT");
    let pair = PrivatePkcs8KeyDer::from_pem_slice(APPLICATION_KEY.as_bytes()).ok()?;
    let pair = RsaKeyPair::from_pkcs8(pair.secret_pkcs8_der()).ok()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public())
        .verify(message.as_bytes(), &decoded(signature)?)
        .ok()?;
    let claims: Claims = serde_json::from_slice(&decoded(claims)?).ok()?;
    let now = now.unix_seconds();
    let holds = claims.iat <= now + AHEAD
        && claims.exp > now
        && claims.exp - claims.iat <= LONGEST
        && !claims.jti.is_empty();
    (typed && holds).then_some(claims.application_id)
}

/// The `Authorization` header's value of a webhook with this body.
pub(super) fn of_webhook(
    application: &str,
    secret: &str,
    id: &str,
    body: &[u8],
    now: Timestamp,
) -> Option<String> {
    let hash = Sha256::digest(body)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let header = json!({ "typ": "JWT", "alg": "HS256" });
    let claims = json!({
        "iat": now.unix_seconds(),
        "jti": id,
        "iss": "Vonage",
        "payload_hash": hash,
        "api_key": api_key(secret),
        "application_id": application,
    });
    let [header, claims] = [header, claims].map(|part| encoded(part.to_string().as_bytes()));
    let message = format!("{header}.{claims}");
    let mut mac = Hmac::<Sha256>::new_from_slice(signature_secret(secret).as_bytes()).ok()?;
    mac.update(message.as_bytes());
    let tag = encoded(&mac.finalize().into_bytes());
    Some(format!("Bearer {message}.{tag}"))
}

fn signature_secret(secret: &str) -> String {
    encoded(&Sha256::digest(format!("sign {secret}")))
}

fn api_key(secret: &str) -> String {
    let name = encoded(&Sha256::digest(format!("name {secret}")));
    name.chars().take(8).collect()
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

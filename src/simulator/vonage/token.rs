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

#[cfg(test)]
mod tests {
    use ring::{rand::SystemRandom, signature::RSA_PKCS1_SHA256};

    use super::*;

    const NOW: i64 = 1_760_000_000;

    /// A customer's token, signed with the application's key.
    fn token(header: &Value, claims: &Value) -> String {
        let pair = PrivatePkcs8KeyDer::from_pem_slice(APPLICATION_KEY.as_bytes()).unwrap();
        let pair = RsaKeyPair::from_pkcs8(pair.secret_pkcs8_der()).unwrap();
        let [header, claims] = [header, claims].map(|part| encoded(part.to_string().as_bytes()));
        let message = format!("{header}.{claims}");
        let mut signature = vec![0; pair.public().modulus_len()];
        let random = SystemRandom::new();
        pair.sign(
            &RSA_PKCS1_SHA256,
            &random,
            message.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("Bearer {message}.{}", encoded(&signature))
    }

    fn let_in(change: impl FnOnce(&mut Value, &mut Value)) -> Option<String> {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        let mut claims = json!({ "application_id": "a", "iat": NOW, "jti": "1", "exp": NOW + 900 });
        change(&mut header, &mut claims);
        let now = Timestamp::from_unix_millis(NOW * 1000);
        application(&token(&header, &claims), now)
    }

    #[test]
    fn a_token_of_the_applications_key_lets_in_while_it_holds() {
        assert_eq!(let_in(|_, _| ()).as_deref(), Some("a"));
        assert!(let_in(|_, claims| claims["iat"] = (NOW + 60).into()).is_some());
        let refused: [fn(&mut Value, &mut Value); 9] = [
            |_, claims| claims["iat"] = (NOW + 61).into(),
            |_, claims| claims["exp"] = NOW.into(),
            |_, claims| claims["exp"] = (NOW + 86_401).into(),
            |_, claims| claims["exp"] = Value::Null,
            |_, claims| claims["jti"] = "".into(),
            |_, claims| claims["jti"] = Value::Null,
            |_, claims| claims["application_id"] = Value::Null,
            |header, _| header["alg"] = "HS256".into(),
            |header, _| header["typ"] = Value::Null,
        ];
        for (number, change) in refused.iter().enumerate() {
            assert_eq!(let_in(change), None, "{number}");
        }
        let now = Timestamp::from_unix_millis(NOW * 1000);
        let good = token(&json!({}), &json!({}));
        for broken in [
            "",
            "Bearer",
            "Bearer a.b.c",
            &good.replace("Bearer", "Basic"),
            &format!("{good}A"),
        ] {
            assert_eq!(application(broken, now), None, "{broken}");
        }
    }
}

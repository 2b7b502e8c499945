//! An account's credentials: what the sealed JSON holds, and the two things it proves: that we are
//! the application, and that a callback is theirs.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderValue;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use time::Duration;
use uuid::Uuid;

use crate::{
    domain::Timestamp,
    providers::{Account, Credentials, CredentialsProblem},
};

/// How long a token of ours holds; they take up to a day.
const TOKEN_LIFE: Duration = Duration::minutes(10);

/// How long one is used: what is left is for the request and for clocks that differ.
const TOKEN_USE: Duration = Duration::minutes(5);

/// `{"application_id", "private_key", "signature_secret", "api_key"?}`.
///
/// `application_id` is the UUID of a Voice application; an account's external id is the same.
/// `private_key` is the application's, as their dashboard lets one download it: RSA of at least 2048
/// bits, in PEM. `signature_secret` belongs to their account, like `api_key`, which callbacks have to
/// name when it is given (<https://developer.vonage.com/en/getting-started/concepts/webhooks>).
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    application_id: String,
    private_key: PrivateKey,
    signature_secret: String,
    api_key: Option<String>,
}

#[derive(Clone)]
struct PrivateKey {
    pem: String,
    pair: Arc<RsaKeyPair>,
    /// Signing takes longer than the rest of a request.
    last: Arc<Mutex<Option<Token>>>,
}

/// A token that was signed.
struct Token {
    signed_at: Timestamp,
    value: HeaderValue,
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Eq for PrivateKey {}

/// What makes a token differ from every other: when it is made, and a name that is never used again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub(super) now: Timestamp,
    /// For the token, if one is signed.
    pub(super) token_id: Uuid,
}

impl Keys {
    /// The keys of an account; `None`: it is another provider's.
    pub(super) fn of(account: &Account) -> Option<&Self> {
        let Credentials::Vonage(keys) = &account.credentials else {
            return None;
        };
        Some(keys)
    }

    /// # Errors
    /// Which member is missing, unknown or malformed; never a value.
    pub(in crate::providers) fn parse(
        members: &Map<String, Value>,
    ) -> Result<Self, CredentialsProblem> {
        const KNOWN: [&str; 4] = [
            "application_id",
            "private_key",
            "signature_secret",
            "api_key",
        ];
        if members.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            let known = KNOWN.join(", ");
            return Err(CredentialsProblem(format!("may hold only {known}")));
        }
        let application_id = member(members, "application_id")?;
        if !is_uuid(&application_id) {
            return Err(problem("application_id must be a UUID with hyphens"));
        }
        let private_key = PrivateKey::of(member(members, "private_key")?).ok_or_else(|| {
            problem("private_key must be an RSA key of at least 2048 bits in PEM")
        })?;
        let api_key = match members.get("api_key") {
            None | Some(Value::Null) => None,
            Some(_) => Some(member(members, "api_key")?),
        };
        Ok(Self {
            application_id,
            private_key,
            signature_secret: member(members, "signature_secret")?,
            api_key,
        })
    }

    pub(in crate::providers) fn application_id(&self) -> &str {
        &self.application_id
    }

    pub(super) fn api_key(&self) -> Option<&str> {
        self.api_key.as_deref()
    }

    /// The `Authorization` header's value: a token that was signed within the last five minutes.
    ///
    /// `None` when the key cannot sign, which its reading has ruled out.
    pub(super) fn bearer(&self, stamp: Stamp) -> Option<HeaderValue> {
        let last = &self.private_key.last;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = |token: &&Token| {
            let age = stamp.now.since(token.signed_at);
            !age.is_negative() && age < TOKEN_USE
        };
        if let Some(token) = last.as_ref().filter(in_use) {
            return Some(token.value.clone());
        }
        let mut value = HeaderValue::try_from(self.sign(stamp)?).ok()?;
        value.set_sensitive(true);
        *last = Some(Token {
            signed_at: stamp.now,
            value: value.clone(),
        });
        Some(value)
    }

    /// A new token, RS256 (RFC 7518 section 3.3).
    ///
    /// <https://developer.vonage.com/en/getting-started/concepts/authentication#json-web-tokens>.
    fn sign(&self, stamp: Stamp) -> Option<String> {
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({
            "application_id": self.application_id,
            "iat": stamp.now.unix_seconds(),
            "jti": stamp.token_id,
            "exp": stamp.now.plus(TOKEN_LIFE).unix_seconds(),
        });
        let [header, claims] =
            [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let pair = &self.private_key.pair;
        let mut signature = vec![0; pair.public().modulus_len()];
        // This padding takes no chance (RFC 8017 section 8.2.1); the signature is the same each time.
        let unused = SystemRandom::new();
        pair.sign(
            &RSA_PKCS1_SHA256,
            &unused,
            message.as_bytes(),
            &mut signature,
        )
        .ok()?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        Some(format!("Bearer {message}.{signature}"))
    }

    /// Whether `tag` is the HMAC-SHA-256 of `message` under the secret. In constant time.
    pub(super) fn have_signed(&self, message: &[u8], tag: &[u8]) -> bool {
        // HMAC takes a key of any length (RFC 2104 section 3).
        Hmac::<Sha256>::new_from_slice(self.signature_secret.as_bytes()).is_ok_and(|mut mac| {
            mac.update(message);
            mac.verify_slice(tag).is_ok()
        })
    }

    /// Every text that must never be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        vec![self.signature_secret.clone(), self.private_key.pem.clone()]
    }
}

impl PrivateKey {
    fn of(pem: String) -> Option<Self> {
        let pair = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return None,
        };
        Some(Self {
            pem,
            pair: Arc::new(pair.ok()?),
            last: Arc::default(),
        })
    }
}

/// Whether `text` is a UUID as they write them: in lower or upper case, with hyphens. Nothing in one
/// could leave its path segment.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// In lower case, as they write digests.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xF])
        .filter_map(|half| char::from_digit(half.into(), 16))
        .collect()
}

fn problem(text: &str) -> CredentialsProblem {
    CredentialsProblem(text.to_owned())
}

fn member(members: &Map<String, Value>, name: &str) -> Result<String, CredentialsProblem> {
    match members.get(name) {
        None | Some(Value::Null) => Err(problem(&format!("{name} is missing"))),
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(problem(&format!(
            "{name} must be a string that is not empty"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::super::fixture::{APPLICATION, PRIVATE_KEY, SIGNATURE_SECRET, account, credentials};
    use super::*;
    use crate::domain::provider::ProviderKind;

    fn parse(text: &str) -> Result<Credentials, CredentialsProblem> {
        Credentials::parse(ProviderKind::Vonage, text.as_bytes())
    }

    fn with(change: impl FnOnce(&mut Value)) -> Result<Credentials, CredentialsProblem> {
        let mut members = credentials();
        change(&mut members);
        parse(&members.to_string())
    }

    #[test]
    fn a_request_carries_a_token_of_the_application_that_holds_for_ten_minutes() {
        let account = account(None);
        let keys = Keys::of(&account).unwrap();
        let stamp = Stamp {
            now: "2026-11-21T09:30:00Z".parse().unwrap(),
            token_id: Uuid::from_u128(7),
        };
        let bearer = keys.bearer(stamp).unwrap();
        let token = bearer.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}");
        };
        let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        let read = |part| serde_json::from_slice::<Value>(&decoded(part)).unwrap();
        assert_eq!(read(header), json!({"alg": "RS256", "typ": "JWT"}));
        assert_eq!(
            read(claims),
            json!({
                "application_id": APPLICATION, "iat": 1_795_253_400, "exp": 1_795_254_000,
                "jti": "00000000-0000-0000-0000-000000000007",
            })
        );
        let public = keys.private_key.pair.public();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
            .verify(format!("{header}.{claims}").as_bytes(), &decoded(signature))
            .unwrap();
    }

    /// A published token of another issuer under a published secret, as an independent witness.
    #[test]
    fn a_token_that_another_made_under_the_secret_is_recognised() {
        let account = account(None);
        let keys = Keys::of(&account).unwrap();
        let message = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJPbmxpbmUgSldUIEJ1aWxkZXIi\
                       LCJpYXQiOjE2OTc2MzQ2ODAsImV4cCI6MzMyNTQ1NDA4MjgsImF1ZCI6IiIsInN1YiI6IiJ9";
        let tag = BASE64_URL_SAFE_NO_PAD
            .decode("88vJc3I2HhuqEDixHXVhc9R30tA6U_HQHZTC29y6CGM")
            .unwrap();
        assert!(keys.have_signed(message.as_bytes(), &tag));
        assert!(!keys.have_signed(message.trim_end_matches('9').as_bytes(), &tag));
        assert!(!keys.have_signed(message.as_bytes(), &tag[..31]));
        assert!(!keys.have_signed(message.as_bytes(), &[]));
    }

    #[test]
    fn the_private_key_may_be_in_either_form_of_rsa_keys_and_the_api_key_be_left_out() {
        let pkcs1 = include_str!("keys_of_tests/pkcs1.pem");
        assert!(with(|members| members["private_key"] = pkcs1.into()).is_ok());
        assert!(with(|members| members["api_key"] = Value::Null).is_ok());
        let bare = PRIVATE_KEY.split_once("\n\n").unwrap().1;
        assert!(with(|members| members["private_key"] = bare.into()).is_ok());
    }

    #[test]
    fn problems_name_the_member_and_quote_nothing() {
        let short = include_str!("keys_of_tests/rsa_1024.pem");
        let other = include_str!("keys_of_tests/ed25519.pem");
        let set = |name: &'static str, value: Value| with(move |members| members[name] = value);
        let table = [
            (parse("hunter2"), "must be a JSON object"),
            (parse("{}"), "application_id is missing"),
            (set("application_id", json!("hunter2")), "must be a UUID"),
            (
                set("application_id", json!(APPLICATION.replace('-', ""))),
                "must be a UUID",
            ),
            (set("private_key", json!(7)), "private_key must be a string"),
            (set("private_key", json!("hunter2")), "RSA key of at least"),
            (set("private_key", json!(short)), "RSA key of at least"),
            (set("private_key", json!(other)), "RSA key of at least"),
            (
                set("signature_secret", json!("")),
                "signature_secret must be a string",
            ),
            (set("api_key", json!(7)), "api_key must be a string"),
            (set("api_secret", json!("hunter2")), "may hold only"),
        ];
        for (parsed, expected) in table {
            let problem = parsed.unwrap_err().0;
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        assert!(!format!("{:?}", account(None)).contains(SIGNATURE_SECRET));
    }
}

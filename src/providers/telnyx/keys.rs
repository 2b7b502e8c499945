//! An account's credentials: what the sealed JSON holds, and the two things it proves: that we are
//! the customer, and that a callback is theirs.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::{Map, Value};

use crate::providers::{Account, Credentials, CredentialsProblem};

/// `{"api_key", "connection_id", "public_key"}`.
///
/// `connection_id` names the Call Control application that calls go through; an account's external
/// id is the same. `public_key` is what callbacks are verified with: the base64 of 32 bytes, as the
/// portal shows it (<https://developers.telnyx.com/docs/messaging/webhooks/receiving-webhooks>).
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    api_key: String,
    connection_id: String,
    public_key: VerifyingKey,
}

impl Keys {
    /// The keys of an account; `None`: it is another provider's.
    pub(super) fn of(account: &Account) -> Option<&Self> {
        let Credentials::Telnyx(keys) = &account.credentials else {
            return None;
        };
        Some(keys)
    }

    /// # Errors
    /// Which member is missing, unknown or malformed; never a value.
    pub(in crate::providers) fn parse(
        members: &Map<String, Value>,
    ) -> Result<Self, CredentialsProblem> {
        const KNOWN: [&str; 3] = ["api_key", "connection_id", "public_key"];
        if members.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            let known = KNOWN.join(", ");
            return Err(CredentialsProblem(format!("may hold only {known}")));
        }
        let api_key = member(members, "api_key")?;
        if !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text = "api_key must be one word of printable ASCII";
            return Err(CredentialsProblem(text.to_owned()));
        }
        let connection_id = member(members, "connection_id")?;
        if !is_connection_id(&connection_id) {
            let text = "connection_id must be digits, as the portal shows it";
            return Err(CredentialsProblem(text.to_owned()));
        }
        let public_key = public_key(&member(members, "public_key")?).ok_or_else(|| {
            let text = "public_key must be the base64 of an Ed25519 public key of 32 bytes";
            CredentialsProblem(text.to_owned())
        })?;
        Ok(Self {
            api_key,
            connection_id,
            public_key,
        })
    }

    pub(in crate::providers) fn connection_id(&self) -> &str {
        &self.connection_id
    }

    /// The `Authorization` header's value (RFC 6750).
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.api_key)
    }

    /// Whether `signature` is theirs under `message`. Strict: of the encodings that a signature
    /// might have, only the one that they make.
    pub(super) fn have_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.public_key.verify_strict(message, &signature).is_ok())
    }

    /// Every text that must never be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        vec![self.api_key.clone()]
    }
}

fn public_key(text: &str) -> Option<VerifyingKey> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok()?;
    let key = VerifyingKey::from_bytes(bytes.as_slice().try_into().ok()?).ok()?;
    // A weak key takes signatures that nobody made.
    (!key.is_weak()).then_some(key)
}

/// Theirs are up to 19 digits.
fn is_connection_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn member(members: &Map<String, Value>, name: &str) -> Result<String, CredentialsProblem> {
    match members.get(name) {
        None | Some(Value::Null) => Err(CredentialsProblem(format!("{name} is missing"))),
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(_) => Err(CredentialsProblem(format!(
            "{name} must be a string that is not empty"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::provider::ProviderKind,
        providers::{Credentials, CredentialsProblem},
    };

    /// The public key of RFC 8032 section 7.1, test 1.
    const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn parse(text: &str) -> Result<Credentials, CredentialsProblem> {
        Credentials::parse(ProviderKind::Telnyx, text.as_bytes())
    }

    #[test]
    fn the_three_members_make_keys_that_verify_the_rfcs_vector() {
        let text = format!(r#"{{"api_key":"KEY1","connection_id":"12","public_key":"{PUBLIC}"}}"#);
        let Credentials::Telnyx(keys) = parse(&text).unwrap() else {
            panic!("another provider's");
        };
        assert_eq!(
            (keys.bearer().as_str(), keys.connection_id()),
            ("Bearer KEY1", "12")
        );
        let signature: Vec<u8> =
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555\
                                  fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
        assert!(keys.have_signed(b"", &signature));
        assert!(!keys.have_signed(b"x", &signature));
        assert!(!keys.have_signed(b"", &signature[..63]));
    }

    #[test]
    fn problems_name_the_member_and_quote_nothing() {
        let with = |api: &str, connection: &str, public: &str| {
            format!(r#"{{"api_key":{api},"connection_id":{connection},"public_key":{public}}}"#)
        };
        let good = format!("\"{PUBLIC}\"");
        let table = [
            ("hunter2".to_owned(), "must be a JSON object"),
            ("{}".to_owned(), "api_key is missing"),
            (with("7", "\"1\"", &good), "api_key must be a string"),
            (with("\"hunter2 x\"", "\"1\"", &good), "one word"),
            (with("\"k\"", "null", &good), "connection_id is missing"),
            (with("\"k\"", "\"hunter2/\"", &good), "must be digits"),
            (with("\"k\"", "\"1\"", "\"hunter2\""), "32 bytes"),
            // The identity: of small order.
            (
                with(
                    "\"k\"",
                    "\"1\"",
                    "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
                ),
                "32 bytes",
            ),
            (r#"{"hunter2":"x"}"#.to_owned(), "may hold only"),
        ];
        for (text, expected) in table {
            let problem = parse(&text).unwrap_err().to_string();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}

//! An account's credentials: what the sealed JSON holds, and the two things it proves: that we are
//! the customer, and that a webhook is theirs.

use serde_json::{Map, Value};

use crate::{
    domain::webhook::signature::{SECRET_PREFIX, SigningSecret},
    providers::{Account, Credentials, CredentialsProblem},
};

/// The model that takes calls when the account names none.
const MODEL: &str = "gpt-realtime";

/// `{"api_key", "webhook_secret", "model"?, "voice"?}`.
///
/// `webhook_secret` is the project's: `whsec_` and base64, or any other text, which is taken as the
/// key's bytes as their own library does. `model` is `gpt-realtime` unless named; without a `voice`
/// the model speaks with its own. The account's external id is the project's, `proj_…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    api_key: String,
    webhook_secret: SigningSecret,
    shown_secret: String,
    model: String,
    voice: Option<String>,
}

impl Keys {
    /// The keys of an account; `None`: it is another provider's.
    pub(super) fn of(account: &Account) -> Option<&Self> {
        let Credentials::Openai(keys) = &account.credentials else {
            return None;
        };
        Some(keys)
    }

    /// # Errors
    /// Which member is missing, unknown or malformed; never a value.
    pub(in crate::providers) fn parse(
        members: &Map<String, Value>,
    ) -> Result<Self, CredentialsProblem> {
        const KNOWN: [&str; 4] = ["api_key", "webhook_secret", "model", "voice"];
        if members.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            let known = KNOWN.join(", ");
            return Err(CredentialsProblem(format!("may hold only {known}")));
        }
        let shown_secret = required(members, "webhook_secret")?;
        let webhook_secret = if shown_secret.starts_with(SECRET_PREFIX) {
            SigningSecret::parse(&shown_secret).ok_or_else(|| {
                let text = "webhook_secret must be base64 after its whsec_";
                CredentialsProblem(text.to_owned())
            })?
        } else {
            SigningSecret::new(shown_secret.clone().into_bytes())
        };
        Ok(Self {
            api_key: required(members, "api_key")?,
            webhook_secret,
            shown_secret,
            model: word(members, "model")?.unwrap_or_else(|| MODEL.to_owned()),
            voice: word(members, "voice")?,
        })
    }

    /// The `Authorization` header's value (RFC 6750).
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.api_key)
    }

    pub(super) fn webhook_secret(&self) -> &SigningSecret {
        &self.webhook_secret
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn voice(&self) -> Option<&str> {
        self.voice.as_deref()
    }

    /// Every text that must never be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        vec![self.api_key.clone(), self.shown_secret.clone()]
    }
}

fn required(members: &Map<String, Value>, name: &str) -> Result<String, CredentialsProblem> {
    word(members, name)?.ok_or_else(|| CredentialsProblem(format!("{name} is missing")))
}

fn word(members: &Map<String, Value>, name: &str) -> Result<Option<String>, CredentialsProblem> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text))
            if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(CredentialsProblem(format!(
            "{name} must be one word of printable ASCII"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        domain::provider::ProviderKind,
        providers::{Credentials, CredentialsProblem},
    };

    fn parse(text: &str) -> Result<Credentials, CredentialsProblem> {
        Credentials::parse(ProviderKind::Openai, text.as_bytes())
    }

    #[test]
    fn model_and_voice_may_be_left_out_and_a_secret_may_be_any_text() {
        let text = r#"{"api_key":"sk-1","webhook_secret":"whsec_aGVsbG8="}"#;
        let Credentials::Openai(keys) = parse(text).unwrap() else {
            panic!("another provider's");
        };
        assert_eq!((keys.model(), keys.voice()), ("gpt-realtime", None));
        assert_eq!(keys.bearer(), "Bearer sk-1");
        assert_eq!(keys.webhook_secret().bytes(), b"hello");
        let text = r#"{"api_key":"sk-1","webhook_secret":"hello","model":"m","voice":"marin"}"#;
        let Credentials::Openai(keys) = parse(text).unwrap() else {
            panic!("another provider's");
        };
        assert_eq!(keys.webhook_secret().bytes(), b"hello");
        assert_eq!((keys.model(), keys.voice()), ("m", Some("marin")));
    }

    #[test]
    fn problems_name_the_member_and_quote_nothing() {
        for (text, expected) in [
            ("hunter2", "must be a JSON object"),
            ("{}", "webhook_secret is missing"),
            (r#"{"webhook_secret":"hunter2"}"#, "api_key is missing"),
            (r#"{"webhook_secret":"whsec_hunter2!"}"#, "base64"),
            (r#"{"webhook_secret":"x","api_key":"hunter 2"}"#, "one word"),
            (r#"{"webhook_secret":"x","api_key":7}"#, "one word"),
            (
                r#"{"webhook_secret":"x","api_key":"y","voice":""}"#,
                "one word",
            ),
            (
                r#"{"webhook_secret":"x","api_key":"y","hunter2":1}"#,
                "may hold only",
            ),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.0.contains(expected), "{text}: {problem}");
            assert!(!problem.0.contains("hunter2"), "{problem}");
        }
    }
}

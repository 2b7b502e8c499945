//! An account's credentials: what the sealed JSON holds and how requests are signed in with them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::request::is_sid;
use crate::providers::{Account, Credentials, CredentialsProblem};

/// `{"auth_token", "api_key_sid"?, "api_key_secret"?}`.
///
/// The auth token is always needed: callbacks are signed with it, also where requests go out
/// under an API key (<https://www.twilio.com/docs/usage/security>).
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    auth_token: String,
    api_key: Option<ApiKey>,
}

#[derive(Clone, PartialEq, Eq)]
struct ApiKey {
    sid: String,
    secret: String,
}

impl Keys {
    /// Whether an account may have this SID.
    pub(in crate::providers) fn may_be_of(account_sid: &str) -> bool {
        is_sid(account_sid)
    }

    /// The keys of an account; `None`: it is another provider's.
    pub(super) fn of(account: &Account) -> Option<&Self> {
        let Credentials::Twilio(keys) = &account.credentials else {
            return None;
        };
        Some(keys)
    }

    /// # Errors
    /// Which member is missing or unknown; never a value.
    pub(in crate::providers) fn parse(
        members: &Map<String, Value>,
    ) -> Result<Self, CredentialsProblem> {
        const KNOWN: [&str; 3] = ["auth_token", "api_key_sid", "api_key_secret"];
        if members.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            let known = KNOWN.join(", ");
            return Err(CredentialsProblem(format!("may hold only {known}")));
        }
        let auth_token = member(members, "auth_token")?
            .ok_or_else(|| CredentialsProblem("auth_token is missing".to_owned()))?;
        let pair = (
            member(members, "api_key_sid")?,
            member(members, "api_key_secret")?,
        );
        let api_key = match pair {
            (None, None) => None,
            (Some(sid), Some(secret)) if is_sid(&sid) => Some(ApiKey { sid, secret }),
            (Some(_), Some(_)) => {
                let text = "api_key_sid must be letters and digits, as in SK…";
                return Err(CredentialsProblem(text.to_owned()));
            }
            (Some(_), None) | (None, Some(_)) => {
                let text = "api_key_sid and api_key_secret need each other";
                return Err(CredentialsProblem(text.to_owned()));
            }
        };
        Ok(Self {
            auth_token,
            api_key,
        })
    }

    /// The key that callbacks are signed with.
    pub(super) fn auth_token(&self) -> &str {
        &self.auth_token
    }

    /// The `Authorization` header's value (RFC 7617).
    pub(super) fn basic(&self, account_sid: &str) -> String {
        let (user, password) = match &self.api_key {
            Some(key) => (key.sid.as_str(), &key.secret),
            None => (account_sid, &self.auth_token),
        };
        let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
        format!("Basic {pair}")
    }

    /// Every text that must never be shown.
    pub(super) fn secrets(&self, account_sid: &str) -> Vec<String> {
        let basic = self.basic(account_sid);
        let pair = basic.trim_start_matches("Basic ").to_owned();
        let api_secret = self.api_key.as_ref().map(|key| key.secret.clone());
        [pair, self.auth_token.clone()]
            .into_iter()
            .chain(api_secret)
            .collect()
    }
}

fn member(members: &Map<String, Value>, name: &str) -> Result<Option<String>, CredentialsProblem> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(CredentialsProblem(format!(
            "{name} must be a string that is not empty"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;
    use crate::{
        domain::provider::ProviderKind,
        providers::{Credentials, CredentialsProblem},
    };

    fn parse(text: &str) -> Result<Credentials, CredentialsProblem> {
        Credentials::parse(ProviderKind::Twilio, text.as_bytes())
    }

    fn keys(text: &str) -> Keys {
        let Credentials::Twilio(keys) = parse(text).unwrap() else {
            panic!("another provider's");
        };
        keys
    }

    #[test]
    fn an_api_key_signs_requests_in_and_the_auth_token_otherwise() {
        let plain = keys(r#"{"auth_token":"t0k"}"#);
        assert_eq!(plain.basic("AC1"), "Basic QUMxOnQwaw==");
        let with_key = r#"{"auth_token":"t0k","api_key_sid":"SK9","api_key_secret":"s3c"}"#;
        let keyed = keys(with_key);
        assert_eq!(keyed.basic("AC1"), "Basic U0s5OnMzYw==");
        assert_eq!(keyed.auth_token(), "t0k");
    }

    #[test]
    fn problems_name_the_member_and_quote_nothing() {
        let table = [
            ("hunter2", "must be a JSON object"),
            (r#""hunter2""#, "must be a JSON object"),
            ("{}", "auth_token is missing"),
            (r#"{"auth_token":""}"#, "auth_token must be a string"),
            (r#"{"auth_token":7}"#, "auth_token must be a string"),
            (r#"{"auth_token":"t","hunter2":"x"}"#, "may hold only"),
            (
                r#"{"auth_token":"t","api_key_sid":"SK1"}"#,
                "need each other",
            ),
            (
                r#"{"auth_token":"t","api_key_sid":"hunter2:","api_key_secret":"x"}"#,
                "letters and digits",
            ),
        ];
        for (text, expected) in table {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let shown = format!("{:?}", parse(r#"{"auth_token":"hunter2"}"#).unwrap());
        assert_eq!(shown, "Credentials(…)");
    }
}

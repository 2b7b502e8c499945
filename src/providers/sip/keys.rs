//! An account's credentials: which bridge it is, and what that bridge is signed in to with.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::http;
use crate::providers::{Account, Credentials, CredentialsProblem};

/// The sealed object; its member `bridge` tells which.
#[derive(Clone, PartialEq, Eq)]
pub enum Keys {
    Asterisk(AsteriskKeys),
    Jambonz(JambonzKeys),
    Http(Box<http::Keys>),
}

/// `{"bridge": "asterisk", "app", "username", "password", "endpoint"}`.
///
/// `app` names the Stasis application that calls go through, which must be ours alone: a websocket
/// of somebody else's would take its events, and a call of somebody else's in it would be turned
/// away. `endpoint` is what a dial goes to, with `{to}` for the number in E.164 or `{to_digits}`
/// for its digits alone: `PJSIP/{to}@trunk`.
#[derive(Clone, PartialEq, Eq)]
pub struct AsteriskKeys {
    pub(super) app: String,
    username: String,
    password: String,
    endpoint: String,
}

/// `{"bridge": "jambonz", "api_key", "account_sid", "webhook_secret", "application_sid"?}`.
///
/// `webhook_secret` is what hooks are signed with, as the portal shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct JambonzKeys {
    api_key: String,
    pub(super) account_sid: String,
    pub(super) webhook_secret: String,
    pub(super) application_sid: Option<String>,
}

impl Keys {
    /// The account that the bridge knows by a name of its own.
    pub(in crate::providers) fn account_sid(&self) -> Option<&str> {
        match self {
            Self::Jambonz(keys) => Some(&keys.account_sid),
            Self::Asterisk(_) | Self::Http(_) => None,
        }
    }

    /// The keys of an account; `None`: it is another provider's.
    pub(super) fn of(account: &Account) -> Option<&Self> {
        let Credentials::Sip(keys) = &account.credentials else {
            return None;
        };
        Some(keys)
    }

    /// # Errors
    /// Which member is missing, unknown or malformed; never a value.
    pub(in crate::providers) fn parse(
        members: &Map<String, Value>,
    ) -> Result<Self, CredentialsProblem> {
        match members.get("bridge").and_then(Value::as_str) {
            Some("asterisk") => AsteriskKeys::parse(members).map(Self::Asterisk),
            Some("jambonz") => JambonzKeys::parse(members).map(Self::Jambonz),
            Some("http") => http::Keys::parse(members).map(|keys| Self::Http(Box::new(keys))),
            _ => Err(problem("bridge must be asterisk, jambonz or http")),
        }
    }
}

impl AsteriskKeys {
    fn parse(members: &Map<String, Value>) -> Result<Self, CredentialsProblem> {
        only(members, &["app", "username", "password", "endpoint"])?;
        let app = word(members, "app")?;
        // It stands in a path, and a comma would end it in the dial plan.
        let names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if app.len() > 100 || !app.bytes().all(names) || app.bytes().all(|byte| byte == b'.') {
            return Err(problem(
                "app must be letters, digits, dots, dashes and underscores",
            ));
        }
        let username = word(members, "username")?;
        if username.contains(':') {
            return Err(problem("username must hold no colon"));
        }
        let endpoint = word(members, "endpoint")?;
        let holds = |name: &str| endpoint.matches(name).count();
        if holds("{to}") + holds("{to_digits}") != 1 || !endpoint.contains('/') {
            let text = "endpoint must be a technology, a slash and a resource with {to} or \
                {to_digits} in it once";
            return Err(problem(text));
        }
        Ok(Self {
            app,
            username,
            password: word(members, "password")?,
            endpoint,
        })
    }

    /// The `Authorization` header's value (RFC 7617).
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(self.api_key()))
    }

    /// The form that stands in a websocket's query.
    pub(super) fn api_key(&self) -> String {
        format!("{}:{}", self.username, self.password)
    }

    /// What a dial to `to`, a number in E.164, goes to.
    pub(super) fn endpoint(&self, to: &str) -> String {
        self.endpoint
            .replace("{to}", to)
            .replace("{to_digits}", to.trim_start_matches('+'))
    }

    /// Every text that must never be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        vec![
            self.password.clone(),
            BASE64_STANDARD.encode(self.api_key()),
        ]
    }
}

impl JambonzKeys {
    fn parse(members: &Map<String, Value>) -> Result<Self, CredentialsProblem> {
        only(
            members,
            &[
                "api_key",
                "account_sid",
                "webhook_secret",
                "application_sid",
            ],
        )?;
        let account_sid = word(members, "account_sid")?;
        let application_sid = match members.get("application_sid") {
            None | Some(Value::Null) => None,
            Some(_) => Some(word(members, "application_sid")?),
        };
        for (name, sid) in [
            ("account_sid", Some(&account_sid)),
            ("application_sid", application_sid.as_ref()),
        ] {
            if sid.is_some_and(|sid| sid.parse::<uuid::Uuid>().is_err()) {
                return Err(problem(&format!("{name} must be a UUID")));
            }
        }
        Ok(Self {
            api_key: word(members, "api_key")?,
            account_sid,
            webhook_secret: word(members, "webhook_secret")?,
            application_sid,
        })
    }

    /// The `Authorization` header's value (RFC 6750).
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.api_key)
    }

    /// Every text that must never be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        vec![self.api_key.clone(), self.webhook_secret.clone()]
    }
}

/// That `members` holds nothing but `bridge` and those that are `known`.
pub(super) fn only(members: &Map<String, Value>, known: &[&str]) -> Result<(), CredentialsProblem> {
    let is_known = |name: &str| name == "bridge" || known.contains(&name);
    if members.keys().all(|name| is_known(name)) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(problem(&format!("may hold only bridge, {known}")))
}

/// A member that is one word of printable ASCII.
pub(super) fn word(members: &Map<String, Value>, name: &str) -> Result<String, CredentialsProblem> {
    match members.get(name) {
        None | Some(Value::Null) => Err(problem(&format!("{name} is missing"))),
        Some(Value::String(text))
            if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(text.clone())
        }
        Some(_) => Err(problem(&format!(
            "{name} must be one word of printable ASCII"
        ))),
    }
}

pub(super) fn problem(text: &str) -> CredentialsProblem {
    CredentialsProblem(text.to_owned())
}

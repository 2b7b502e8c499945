//! What the routes for people share: how their requests are read, addresses, the JSON of tokens.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    app::people::log_in::Tokens,
    domain::{
        Error, PersonId, Result, SessionId, Timestamp,
        person::EmailAddress,
        secret_text::{SecretKind, SecretText},
        session,
    },
    http::extract::{Incoming, Members, parse_json},
};

/// The largest body of a route that strangers call, in bytes.
const MOST_BYTES: usize = 16 * 1024;

/// Reads what a person or a stranger sends.
///
/// # Errors
/// As [`Incoming::body`] and [`parse_json`].
pub(super) async fn read<T: DeserializeOwned + Members>(incoming: &mut Incoming) -> Result<T> {
    let body = incoming.body(MOST_BYTES).await?;
    parse_json(&incoming.headers, &body)
}

/// Reads an address.
///
/// # Errors
/// `VALIDATION_FAILED`, naming `pointer`.
pub(super) fn email(pointer: &'static str, text: &str) -> Result<EmailAddress> {
    text.parse()
        .map_err(|problem| Error::field(pointer, "email", format!("{problem}")))
}

/// Reads a secret that we made; a text that cannot be one costs no look-up.
///
/// # Errors
/// `VALIDATION_FAILED`, naming `pointer`.
pub(super) fn secret(pointer: &'static str, kind: SecretKind, text: &str) -> Result<SecretText> {
    let must = match kind {
        SecretKind::Refresh => "must be a refresh token, ohr_…, whole",
        SecretKind::Link => "must be what a mail carried, ohl_…, whole",
    };
    SecretText::parse(kind, text).ok_or_else(|| Error::field(pointer, "token", must))
}

/// What is answered where a mail says the rest. The same bytes for everybody.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct MailSent {
    #[schema(value_type = String, example = "A mail to this address tells how to go on")]
    message: &'static str,
}

impl MailSent {
    pub(super) fn perhaps() -> Self {
        Self {
            message: "A mail to this address tells how to go on",
        }
    }

    pub(super) fn not_needed() -> Self {
        Self {
            message: "You are registered; log in",
        }
    }
}

/// What a session goes on with.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Tokens)]
pub(in crate::http) struct TokensView<'a> {
    /// Send it as `Authorization: Bearer …`.
    access_token: &'a str,
    #[schema(value_type = String, example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    #[schema(example = 900)]
    expires_in: i64,
    expires_at: Timestamp,
    /// Good once.
    refresh_token: &'a str,
    session_id: SessionId,
    person_id: PersonId,
}

impl<'a> TokensView<'a> {
    pub(super) fn of(tokens: &'a Tokens) -> Self {
        Self {
            access_token: &tokens.access,
            token_type: "Bearer",
            expires_in: session::ACCESS.whole_seconds(),
            expires_at: tokens.access_expires_at,
            refresh_token: tokens.refresh.reveal(),
            session_id: tokens.session_id,
            person_id: tokens.person_id,
        }
    }
}

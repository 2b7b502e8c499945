//! Mails as they are queued: written, sealed, with links to this server's own page.

use super::App;
use crate::{
    crypto::sealed::Sealed,
    db::mails::NewMail,
    domain::{
        Error, MailId, Result,
        mail::{self, Mail, Occasion},
        person::EmailAddress,
        secret_text::{SecretKind, SecretText},
    },
};

/// What mails say of this server.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Whether there is anybody to send them.
    pub is_sent: bool,
    /// The server's URL, without a trailing slash.
    pub public_url: String,
}

/// What a link in a mail is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Purpose {
    VerifyEmail,
    ResetPassword,
    Invitation,
}

/// A secret for a link, its digest and the link. The secret is in the fragment, which no client sends
/// to a server and no server logs.
pub(in crate::app) fn link(app: &App, purpose: Purpose) -> ([u8; 32], String) {
    let secret = SecretText::new(SecretKind::Link, app.ambient.entropy.bytes());
    let name = match purpose {
        Purpose::VerifyEmail => "verify-email",
        Purpose::ResetPassword => "reset-password",
        Purpose::Invitation => "invitation",
    };
    let url = format!("{}/account#{name}={}", app.mail.public_url, secret.reveal());
    (app.pepper.digest_secret(&secret), url)
}

/// Writes and seals a mail.
///
/// # Errors
/// `INTERNAL`.
pub(in crate::app) fn sealed(
    app: &App,
    to: &EmailAddress,
    occasion: Occasion<'_>,
) -> Result<NewMail> {
    let id = MailId(app.ambient.entropy.uuid());
    let text = serde_json::to_vec(&mail::write(to, occasion))
        .map_err(|error| Error::internal("write a mail", error))?;
    let sealed = app
        .keys
        .seal(&text, &seal_context(id), app.ambient.entropy.as_ref())?;
    Ok(NewMail { id, sealed })
}

/// Opens a mail that is to be sent.
///
/// # Errors
/// `INTERNAL`.
pub fn open(app: &App, id: MailId, sealed: &Sealed) -> Result<Mail> {
    let text = app.keys.open(sealed, &seal_context(id))?;
    serde_json::from_slice(&text).map_err(|error| Error::internal("read a mail", error))
}

fn seal_context(id: MailId) -> String {
    format!("mails/{id}")
}

//! Changing a password, and setting one by mail.

use super::{
    App, PersonByToken, Visitor, count_mail, count_try, link_invalid,
    log_in::forget_guesses,
    mailbox,
    mails::{self, Purpose, sealed},
    needs_mail,
    sessions::end_begun_meanwhile,
};
use crate::{
    db::{
        self,
        people::{LinkMail, PasswordChange, PersonRow},
    },
    domain::{
        Error, ErrorCode, Result,
        mail::{Occasion, RESET},
        password::Password,
        person::EmailAddress,
        secret_text::SecretText,
        throttle,
    },
};

/// Mails a link that sets a new password, if the address has an account.
///
/// # Errors
/// `RATE_LIMITED` (by the caller's address), `MAIL_NOT_CONFIGURED`, `DATABASE_UNAVAILABLE`.
pub async fn forgot(app: &App, visitor: &Visitor, email: &EmailAddress) -> Result<()> {
    needs_mail(app)?;
    let (from, key) = (visitor.counted_as(), email.key());
    let counted = [(
        "forgot from",
        &[from.as_str()][..],
        throttle::MAILS_FROM_ADDRESS,
    )];
    count_try(app, &counted).await?;
    match count_mail(app, &key, throttle::MAILS_TO_ACCOUNT).await {
        Err(error) if error.code == ErrorCode::RateLimited => return Ok(()),
        counted => counted?,
    }
    let (digest, link) = mails::link(app, Purpose::ResetPassword);
    let offer = LinkMail {
        digest,
        mail: sealed(
            app,
            &mailbox(app, email).await?,
            Occasion::Reset { link: &link },
        )?,
        now: app.ambient.now(),
        good_for: RESET,
    };
    db::people::offer_reset(&app.db, email, &offer).await
}

/// Sets a password by what was mailed; every session of the person is ended.
///
/// # Errors
/// `LINK_INVALID`, `VALIDATION_FAILED` (password), `OVERLOADED`, `DATABASE_UNAVAILABLE`.
pub async fn reset(
    app: &App,
    visitor: &Visitor,
    token: &SecretText,
    password: String,
) -> Result<()> {
    // What can be said of the password alone comes first: it tells nothing of the link.
    chosen("/password", password.clone(), None)?;
    let digest = app.pepper.digest_secret(token);
    let person = db::people::find_by_reset_link(&app.db, &digest, app.ambient.now())
        .await?
        .ok_or_else(link_invalid)?;
    let email = address(&person)?;
    let password = chosen("/password", password, Some(&email))?;
    let hash = app.people.hashing.hash(&app.ambient, &password).await?;
    let notice = sealed(app, &email, Occasion::PasswordChanged)?;
    let now = app.ambient.now();
    let person_id = db::people::reset_password(&app.db, &digest, &hash, &notice, now)
        .await?
        .ok_or_else(link_invalid)?;
    end_begun_meanwhile(app, person_id, None, "password_changed").await?;
    forget_guesses(app, &email).await?;
    visitor
        .record(app, person_id, "person.reset_password")
        .await
}

/// Changes the password of a person who shows the present one; the person's other sessions are ended.
///
/// # Errors
/// `LOGIN_FAILED` (present password), `VALIDATION_FAILED` (new one), `RATE_LIMITED`, `OVERLOADED`,
/// `DATABASE_UNAVAILABLE`.
pub async fn change(
    app: &App,
    visitor: &Visitor,
    by: &PersonByToken,
    present: Option<Password>,
    new: String,
) -> Result<()> {
    let wrong = || Error::new(ErrorCode::LoginFailed, "The present password is wrong");
    let present = present.ok_or_else(wrong)?;
    let id = by.person_id.to_string();
    let counted = [(
        "password of",
        &[id.as_str()][..],
        throttle::LOGINS_OF_ACCOUNT_FROM_ADDRESS,
    )];
    count_try(app, &counted).await?;
    let person = db::people::find(&app.db, by.person_id)
        .await?
        .ok_or_else(wrong)?;
    let email = address(&person)?;
    let new = chosen("/new_password", new, Some(&email))?;
    let hashing = &app.people.hashing;
    let before = &person.password_hash;
    if !hashing.is(&app.ambient, &present, Some(before)).await? {
        return Err(wrong());
    }
    let after = hashing.hash(&app.ambient, &new).await?;
    let change = PasswordChange {
        person_id: by.person_id,
        session_id: by.session_id,
        before,
        after: &after,
        notice: &sealed(app, &email, Occasion::PasswordChanged)?,
        now: app.ambient.now(),
    };
    if !db::people::change_password(&app.db, &change).await? {
        return Err(wrong());
    }
    end_begun_meanwhile(app, by.person_id, Some(by.session_id), "password_changed").await?;
    visitor
        .record(app, by.person_id, "person.change_password")
        .await
}

/// Reads a password that somebody chooses.
///
/// # Errors
/// `VALIDATION_FAILED`, naming `pointer`.
pub fn chosen(
    pointer: &'static str,
    text: String,
    email: Option<&EmailAddress>,
) -> Result<Password> {
    let key = email.map(EmailAddress::key).unwrap_or_default();
    Password::chosen(text, &key).map_err(|problem| Error::field(pointer, "password", problem))
}

fn address(person: &PersonRow) -> Result<EmailAddress> {
    person
        .email
        .parse()
        .map_err(|error| Error::internal("read a person's address", error))
}

//! Logging in, and going on with a session.

use super::{App, Visitor, access, count_try, mails::sealed};
use crate::{
    crypto::password_hash,
    db::{
        self,
        sessions::{NewSession, Refresh, Refreshed},
    },
    domain::{
        Error, ErrorCode, OrganizationId, PersonId, Result, SessionId, Timestamp,
        mail::Occasion,
        password::Password,
        person::EmailAddress,
        secret_text::{SecretKind, SecretText},
        session::{self, AccessClaims},
        throttle,
    },
};

/// Under which name guesses at one account from everywhere are counted.
const OF_ACCOUNT: &str = "login of";

/// What somebody logs in with.
#[derive(Debug)]
pub struct Credentials {
    pub email: EmailAddress,
    /// `None`: it cannot be anybody's.
    pub password: Option<Password>,
    /// The organisation that the access tokens are to name.
    pub organization_id: Option<OrganizationId>,
}

/// What a session is carried on with.
#[derive(Debug)]
pub struct Tokens {
    pub access: String,
    pub access_expires_at: Timestamp,
    pub refresh: SecretText,
    pub session_id: SessionId,
    pub person_id: PersonId,
}

/// Logs somebody in. An address without an account takes the same steps and the same time.
///
/// # Errors
/// `LOGIN_FAILED`, `RATE_LIMITED`, `OVERLOADED`, `DATABASE_UNAVAILABLE`.
pub async fn log_in(app: &App, visitor: &Visitor, shown: &Credentials) -> Result<Tokens> {
    let Some(password) = &shown.password else {
        return Err(failed());
    };
    let (key, from) = (shown.email.key(), visitor.counted_as());
    let account: &[&str] = &[&key];
    let both: &[&str] = &[&key, &from];
    let of_address = [
        (
            "login of from",
            both,
            throttle::LOGINS_OF_ACCOUNT_FROM_ADDRESS,
        ),
        (
            "login from",
            &[from.as_str()],
            throttle::LOGINS_FROM_ADDRESS,
        ),
    ];
    count_try(app, &of_address).await?;
    // Only what its address may try counts against the account: one alone does not lock it.
    let of_account = [(OF_ACCOUNT, account, throttle::LOGINS_OF_ACCOUNT)];
    count_try(app, &of_account).await?;
    let person = db::people::find_by_email(&app.db, &shown.email).await?;
    let hash = person.as_ref().map(|person| person.password_hash.as_str());
    let hashing = &app.people.hashing;
    let right = hashing.is(&app.ambient, password, hash).await?;
    let Some(person) = person.filter(|_| right) else {
        return Err(failed());
    };
    let rehashed = if password_hash::is_outdated(&person.password_hash) {
        Some(hashing.hash(&app.ambient, password).await?)
    } else {
        None
    };
    let now = app.ambient.now();
    let session_id = SessionId(app.ambient.entropy.uuid());
    let refresh = SecretText::new(SecretKind::Refresh, app.ambient.entropy.bytes());
    let address = visitor.address.map(|address| address.to_string());
    let new = NewSession {
        id: session_id,
        person_id: person.id,
        preferred_organization: shown.organization_id,
        address: address.as_deref(),
        refresh_digest: app.pepper.digest_secret(&refresh),
        created_at: now,
        expires_at: session::expires_at(now, now),
        password_hash: &person.password_hash,
        rehashed: rehashed.as_deref(),
    };
    if !db::sessions::begin(&app.db, &new).await? {
        return Err(failed());
    }
    let spent = [
        app.pepper.digest_count(OF_ACCOUNT, account),
        app.pepper.digest_count("login of from", both),
    ];
    db::throttles::forget(&app.db, &spent).await?;
    visitor.record(app, person.id, "session.create").await?;
    let claims = AccessClaims::new(person.id, session_id, shown.organization_id, now);
    tokens(app, &claims, refresh).await
}

/// Forgets what was guessed at an account from everywhere: its owner has just proved who it is.
///
/// # Errors
/// `DATABASE_UNAVAILABLE`.
pub(super) async fn forget_guesses(app: &App, email: &EmailAddress) -> Result<()> {
    let key = app.pepper.digest_count(OF_ACCOUNT, &[&email.key()]);
    db::throttles::forget(&app.db, &[key]).await
}

/// Goes on with a session. A refresh token that comes a second time ends the session: somebody holds
/// a copy, and who of the two is the owner cannot be told.
///
/// # Errors
/// `UNAUTHENTICATED`, `DATABASE_UNAVAILABLE`.
pub async fn refresh(
    app: &App,
    visitor: &Visitor,
    shown: &SecretText,
    organization_id: Option<OrganizationId>,
) -> Result<Tokens> {
    let now = app.ambient.now();
    let next = SecretText::new(SecretKind::Refresh, app.ambient.entropy.bytes());
    let refresh = Refresh {
        digest: app.pepper.digest_secret(shown),
        next: app.pepper.digest_secret(&next),
        preferred_organization: organization_id,
        now,
        idle_until: now.plus(session::IDLE),
        longest_seconds: session::LONGEST.as_seconds_f64(),
    };
    match db::sessions::refresh(&app.db, &refresh).await? {
        Refreshed::Rotated {
            session_id,
            person_id,
            preferred_organization,
        } => {
            let claims = AccessClaims::new(person_id, session_id, preferred_organization, now);
            tokens(app, &claims, next).await
        }
        Refreshed::Reused(person_id) => {
            visitor
                .record(app, person_id, "session.refresh_token_reused")
                .await?;
            tell_of_reuse(app, person_id).await?;
            Err(session_over())
        }
        Refreshed::Refused => Err(session_over()),
    }
}

async fn tell_of_reuse(app: &App, person_id: PersonId) -> Result<()> {
    let Some(person) = db::people::find(&app.db, person_id).await? else {
        return Ok(());
    };
    let Ok(email) = person.email.parse() else {
        return Ok(());
    };
    let mail = sealed(app, &email, Occasion::SessionEnded)?;
    db::mails::insert(&app.db, &mail, app.ambient.now()).await
}

async fn tokens(app: &App, claims: &AccessClaims, refresh: SecretText) -> Result<Tokens> {
    Ok(Tokens {
        access: access::sign(app, claims).await?,
        access_expires_at: claims.expires_at,
        refresh,
        session_id: claims.session_id,
        person_id: claims.person_id,
    })
}

fn failed() -> Error {
    Error::new(
        ErrorCode::LoginFailed,
        "The address or the password is wrong",
    )
}

fn session_over() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "The refresh token is unknown, used or of a session that is over; log in again",
    )
}

//! Registering, and confirming the address.

use serde_json::json;

use super::{
    App, Visitor, count_mail, count_try, link_invalid, mailbox,
    mails::{self, Purpose},
    needs_mail,
    sessions::end_begun_meanwhile,
};
use crate::{
    app::Actor,
    db::{
        self,
        people::{InvitedRegistration, NewMember, Registration},
    },
    domain::{
        AgentId, Error, ErrorCode, OrgScope, OrganizationId, PersonId, Result,
        agent::AgentSettings,
        mail::Occasion,
        password::Password,
        person::{EmailAddress, name_problem},
        role::Role,
        secret_text::SecretText,
        throttle,
    },
};

/// Somebody who registers; checked when it was read.
#[derive(Debug)]
pub struct NewPerson {
    pub email: EmailAddress,
    pub name: String,
    pub password: Password,
    pub with: With,
}

/// What a new person belongs to.
#[derive(Debug)]
pub enum With {
    /// A new organisation of this name, as its owner.
    Organization(String),
    /// The organisation that sent this invitation.
    Invitation(SecretText),
}

/// Reads a name that goes into mails.
///
/// # Errors
/// `VALIDATION_FAILED`, naming `pointer`.
pub fn check_name(pointer: &'static str, name: &str) -> Result<()> {
    match name_problem(name) {
        Some(problem) => Err(Error::field(pointer, "invalid", problem)),
        None => Ok(()),
    }
}

/// Registers somebody. Without an invitation nothing tells whether the address had an account; with
/// one, who holds it has read the address's mails, and may know.
///
/// # Errors
/// `RATE_LIMITED`, `OVERLOADED`, `MAIL_NOT_CONFIGURED`, `ACCOUNT_EXISTS` and
/// `INVITATION_NOT_FOUND` (with an invitation), `DATABASE_UNAVAILABLE`.
pub async fn register(app: &App, visitor: &Visitor, new: NewPerson) -> Result<()> {
    let from = visitor.counted_as();
    let counted = [(
        "register",
        &[from.as_str()][..],
        throttle::MAILS_FROM_ADDRESS,
    )];
    count_try(app, &counted).await?;
    match &new.with {
        With::Organization(name) => register_founder(app, visitor, &new, name).await,
        With::Invitation(token) => register_invited(app, visitor, &new, token).await,
    }
}

async fn register_founder(
    app: &App,
    visitor: &Visitor,
    new: &NewPerson,
    organization: &str,
) -> Result<()> {
    needs_mail(app)?;
    let hash = app.people.hashing.hash(&app.ambient, &new.password).await?;
    let key = new.email.key();
    // Beyond what an address may be sent nothing happens, and the answer is the same.
    match count_mail(app, &key, throttle::MAILS_TO_ACCOUNT).await {
        Err(error) if error.code == ErrorCode::RateLimited => return Ok(()),
        counted => counted?,
    }
    let (verify_digest, verify) = mails::link(app, Purpose::VerifyEmail);
    let (reset_digest, reset) = mails::link(app, Purpose::ResetPassword);
    let settings = serde_json::to_value(AgentSettings::default())
        .map_err(|error| Error::internal("write an agent's settings", error))?;
    let owner = mailbox(app, &new.email).await?;
    let registration = Registration {
        person_id: PersonId(app.ambient.entropy.uuid()),
        email: &new.email,
        name: &new.name,
        password_hash: &hash,
        organization_id: OrganizationId(app.ambient.entropy.uuid()),
        organization_name: organization,
        agent_id: AgentId(app.ambient.entropy.uuid()),
        agent_settings: &settings,
        now: app.ambient.now(),
        verify_digest,
        verify_mail: mails::sealed(app, &new.email, Occasion::Verify { link: &verify })?,
        reset_digest,
        reset_mail: mails::sealed(app, &owner, Occasion::Registered { link: &reset })?,
    };
    let registered = db::people::register(&app.db, &registration).await?;
    // Where there was an account, the same steps are taken for somebody who is nobody.
    let person_id = registered.unwrap_or(registration.person_id);
    end_begun_meanwhile(app, person_id, None, "registered_again").await?;
    visitor.record(app, person_id, "person.register").await
}

async fn register_invited(
    app: &App,
    visitor: &Visitor,
    new: &NewPerson,
    token: &SecretText,
) -> Result<()> {
    let (digest, now) = (app.pepper.digest_secret(token), app.ambient.now());
    let not_found = || {
        Error::new(
            ErrorCode::InvitationNotFound,
            "There is no such invitation for this address that is open",
        )
    };
    if !db::invitations::is_open(&app.db, &digest, &new.email, now).await? {
        return Err(not_found());
    }
    let hash = app.people.hashing.hash(&app.ambient, &new.password).await?;
    let registration = InvitedRegistration {
        invitation_digest: digest,
        person_id: PersonId(app.ambient.entropy.uuid()),
        email: &new.email,
        name: &new.name,
        password_hash: &hash,
        now,
    };
    let registered = db::people::register_invited(&app.db, &registration).await?;
    let Some((person_id, _)) = registered else {
        let known = db::people::find_by_email(&app.db, &new.email).await?;
        return Err(match known {
            Some(person) if person.email_verified => Error::new(
                ErrorCode::AccountExists,
                "This address has an account; log in and accept the invitation with it",
            ),
            _ => not_found(),
        });
    };
    end_begun_meanwhile(app, person_id, None, "registered_again").await?;
    visitor.record(app, person_id, "invitation.accept").await
}

/// Somebody whom the operator vouches for.
#[derive(Debug)]
pub struct ByOperator {
    pub email: EmailAddress,
    pub name: String,
    pub password: Password,
}

/// Makes somebody a member with this role; an address that its owner has confirmed keeps name and
/// password.
///
/// # Errors
/// `VALIDATION_FAILED` (name), `ORGANIZATION_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn by_operator(
    app: &App,
    scope: OrgScope,
    new: &ByOperator,
    role: Role,
) -> Result<PersonId> {
    check_name("/name", &new.name)?;
    if db::organizations::find(&app.db, scope).await?.is_none() {
        return Err(super::organization_not_found());
    }
    let hash = app.people.hashing.hash(&app.ambient, &new.password).await?;
    let person = NewMember {
        person_id: PersonId(app.ambient.entropy.uuid()),
        email: &new.email,
        name: &new.name,
        password_hash: &hash,
        role,
        now: app.ambient.now(),
    };
    let person_id = db::people::create_member(&app.db, scope, &person).await?;
    let detail = json!({"after": {"role": role}});
    Actor::System("operator")
        .record(app, scope, "member.create", &person_id.to_string(), detail)
        .await?;
    Ok(person_id)
}

/// Confirms an address by what was mailed to it.
///
/// # Errors
/// `LINK_INVALID`, `DATABASE_UNAVAILABLE`.
pub async fn verify_email(app: &App, visitor: &Visitor, token: &SecretText) -> Result<()> {
    let digest = app.pepper.digest_secret(token);
    let person_id = db::people::verify_email(&app.db, &digest, app.ambient.now())
        .await?
        .ok_or_else(link_invalid)?;
    visitor.record(app, person_id, "person.verify_email").await
}

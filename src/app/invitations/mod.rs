//! What can be done with offers to join an organisation.

use serde_json::json;

use super::{
    App,
    actor::{self, By},
    members::role_too_low,
    people::{
        PersonByToken, Visitor,
        mails::{self, Purpose},
        needs_mail,
    },
};
use crate::{
    db::{
        self,
        invitations::{InvitationRow, NewInvitation},
    },
    domain::{
        AuditEntryId, Error, ErrorCode, InvitationId, OrgScope, OrganizationId, Result,
        mail::{INVITATION, Occasion},
        person::EmailAddress,
        role::{Role, may_change},
        secret_text::SecretText,
        throttle,
        token::{Caller, Scope},
    },
};

/// Invites somebody by mail; earlier invitations of the address are revoked. What the mail carries is
/// returned to nobody.
///
/// # Errors
/// `ACCOUNT_NOT_VERIFIED`, `ROLE_TOO_LOW`, `MEMBER_EXISTS`, `MAIL_NOT_CONFIGURED`, `RATE_LIMITED`
/// (by the address that is invited), `DATABASE_UNAVAILABLE`.
pub async fn create(
    app: &App,
    by: By<'_>,
    caller: &Caller,
    email: &EmailAddress,
    role: Role,
) -> Result<InvitationRow> {
    let caller = actor::as_it_is_now(app, caller, Scope::MembersWrite).await?;
    actor::ask_verified(&caller)?;
    if !may_change(caller.highest_role(), None, Some(role)) {
        return Err(role_too_low());
    }
    needs_mail(app)?;
    if db::members::has_email(&app.db, by.scope, &email.key()).await? {
        return Err(Error::new(
            ErrorCode::MemberExists,
            "This address is a member's; change the role instead",
        ));
    }
    super::people::count_mail(app, &email.key(), throttle::MAILS_TO_ACCOUNT).await?;
    let organization = db::organizations::find(&app.db, by.scope)
        .await?
        .ok_or_else(super::people::organization_not_found)?;
    let (token_digest, link) = mails::link(app, Purpose::Invitation);
    let occasion = Occasion::Invited {
        organization: &organization.name,
        role,
        link: &link,
    };
    let now = app.ambient.now();
    let row = InvitationRow {
        id: InvitationId(app.ambient.entropy.uuid()),
        email: email.reveal().to_owned(),
        role,
        invited_by: by.actor.name(),
        created_at: now,
        expires_at: now.plus(INVITATION),
    };
    let new = NewInvitation {
        id: row.id,
        email,
        role,
        token_digest,
        invited_by: &row.invited_by,
        created_at: now,
        expires_at: row.expires_at,
        mail: &mails::sealed(app, email, occasion)?,
    };
    db::invitations::insert(&app.db, by.scope, &new).await?;
    let detail = json!({"after": {"email": row.email, "role": role}});
    by.actor
        .record(
            app,
            by.scope,
            "invitation.create",
            &row.id.to_string(),
            detail,
        )
        .await?;
    Ok(row)
}

/// Revokes an open invitation.
///
/// # Errors
/// `INVITATION_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn revoke(app: &App, by: By<'_>, id: InvitationId) -> Result<()> {
    let role = db::invitations::revoke(&app.db, by.scope, id, app.ambient.now())
        .await?
        .ok_or_else(not_found)?;
    let detail = json!({"before": {"role": role}});
    by.actor
        .record(app, by.scope, "invitation.revoke", &id.to_string(), detail)
        .await
}

/// Makes a person with an account a member; good once, and for the account's address alone. Who is a
/// member already keeps the role.
///
/// # Errors
/// `INVITATION_NOT_FOUND`, `DATABASE_UNAVAILABLE`.
pub async fn accept(
    app: &App,
    visitor: &Visitor,
    person: &PersonByToken,
    token: &SecretText,
    scope: impl FnOnce(OrganizationId) -> OrgScope,
) -> Result<(OrganizationId, Role)> {
    let digest = app.pepper.digest_secret(token);
    let now = app.ambient.now();
    let accepted = db::invitations::accept(&app.db, &digest, person.person_id, now)
        .await?
        .ok_or_else(not_found)?;
    let id = AuditEntryId(app.ambient.ordered_uuid());
    let entry = visitor.entry(id, person.person_id, "invitation.accept");
    let subject = person.person_id.to_string();
    db::audit_entries::insert(&app.db, scope(accepted.0), &entry, &subject, now).await?;
    super::people::forget_standing(app, person).await;
    Ok(accepted)
}

/// The one answer to an invitation that there is not, or that is somebody else's.
pub fn not_found() -> Error {
    Error::new(
        ErrorCode::InvitationNotFound,
        "There is no such invitation that is open",
    )
}

//! What can be done to members: another role, removal. They come by registering and by invitation.

use serde_json::json;

use super::{
    App,
    actor::{self, By},
};
use crate::{
    db::{self, members::MemberRow},
    domain::{
        Error, ErrorCode, PersonId, Result,
        role::{Role, may_change},
        token::{Caller, Scope},
    },
};

/// A change that meets a faster one is decided anew so many times.
const ATTEMPTS: usize = 4;

/// What somebody wants to do to a member.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub person_id: PersonId,
    /// `None`: no member any more.
    pub role: Option<Role>,
}

/// Changes a member's role or removes a member. It is in force everywhere within two seconds, and
/// open invitations that the member made are revoked. Who leaves needs nobody's leave.
///
/// # Errors
/// `MEMBER_NOT_FOUND`, `ROLE_TOO_LOW`, `LAST_OWNER`, `DATABASE_UNAVAILABLE`; where the caller's own
/// role changed meanwhile, what identifying it again answers.
pub async fn change(app: &App, by: By<'_>, caller: &Caller, wanted: Wanted) -> Result<MemberRow> {
    let id = wanted.person_id;
    let leaves = wanted.role.is_none() && caller.person_id() == Some(id);
    let highest = if leaves {
        None
    } else {
        let caller = actor::as_it_is_now(app, caller, Scope::MembersWrite).await?;
        caller.highest_role()
    };
    for _ in 0..ATTEMPTS {
        let member = db::members::find(&app.db, by.scope, id)
            .await?
            .ok_or_else(not_found)?;
        if !leaves && !may_change(highest, Some(member.role), wanted.role) {
            return Err(role_too_low());
        }
        if wanted.role == Some(member.role) {
            return Ok(member);
        }
        let (before, now) = (member.role, app.ambient.now());
        if db::members::change(&app.db, by.scope, id, before, wanted.role, now).await? {
            let action = if wanted.role.is_some() {
                "member.update"
            } else {
                "member.remove"
            };
            let detail = json!({"before": {"role": before}, "after": {"role": wanted.role}});
            by.actor
                .record(app, by.scope, action, &id.to_string(), detail)
                .await?;
            return Ok(MemberRow {
                role: wanted.role.unwrap_or(before),
                ..member
            });
        }
        if before == Role::Owner && !others_own(app, by, id).await? {
            return Err(Error::new(
                ErrorCode::LastOwner,
                "An organisation has an owner at all times; make somebody else an owner first",
            ));
        }
    }
    Err(Error::internal(
        "change a member",
        "others were always faster",
    ))
}

async fn others_own(app: &App, by: By<'_>, id: PersonId) -> Result<bool> {
    let members = db::members::list(&app.db, by.scope).await?;
    let mut owners = members.iter().filter(|member| member.role == Role::Owner);
    Ok(owners.any(|owner| owner.person_id != id))
}

/// The one answer to somebody who is no member here.
pub fn not_found() -> Error {
    Error::new(ErrorCode::MemberNotFound, "There is no such member")
}

pub(super) fn role_too_low() -> Error {
    Error::new(
        ErrorCode::RoleTooLow,
        "Nobody gives a role above their own, and nobody changes or removes who has one; ask \
         somebody with that role",
    )
}

//! Which organisation a person acts for.

use super::{OrganizationId, role::Role};

/// A person's place in one organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    pub organization_id: OrganizationId,
    pub role: Role,
    pub organization_verified: bool,
}

/// What a session that goes on says of its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub email_verified: bool,
    pub memberships: Vec<Membership>,
}

/// Why no organisation can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChoice {
    /// The one that was named does not exist, or the person does not belong to it.
    NotAMember,
    /// There are several, and none was named.
    NameOne,
}

impl Standing {
    /// The organisation that is meant: the one that the request names, else the one that was named at
    /// login, else the only one.
    ///
    /// # Errors
    /// [`NoChoice`].
    pub fn choose(
        &self,
        named: Option<OrganizationId>,
        preferred: Option<OrganizationId>,
    ) -> Result<Membership, NoChoice> {
        match (named.or(preferred), self.memberships.as_slice()) {
            (Some(id), memberships) => memberships
                .iter()
                .find(|membership| membership.organization_id == id)
                .copied()
                .ok_or(NoChoice::NotAMember),
            (None, [only]) => Ok(*only),
            (None, []) => Err(NoChoice::NotAMember),
            (None, _) => Err(NoChoice::NameOne),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_goes_before_the_login_and_the_only_one_needs_no_name() {
        let id = |number: u128| OrganizationId(uuid::Uuid::from_u128(number));
        let membership = |number| Membership {
            organization_id: id(number),
            role: Role::Viewer,
            organization_verified: true,
        };
        for (of, named, preferred, chosen) in [
            (&[1, 2][..], Some(2), Some(1), Ok(2)),
            (&[1, 2], None, Some(1), Ok(1)),
            (&[1, 2], None, None, Err(NoChoice::NameOne)),
            (&[1, 2], Some(3), Some(1), Err(NoChoice::NotAMember)),
            (&[1], None, None, Ok(1)),
            (&[1], None, Some(2), Err(NoChoice::NotAMember)),
            (&[], None, None, Err(NoChoice::NotAMember)),
            (&[], Some(1), None, Err(NoChoice::NotAMember)),
        ] {
            let standing = Standing {
                email_verified: true,
                memberships: of.iter().copied().map(membership).collect(),
            };
            let choice = standing.choose(named.map(id), preferred.map(id));
            let choice = choice.map(|membership| membership.organization_id);
            assert_eq!(choice, chosen.map(id), "{of:?} {named:?} {preferred:?}");
        }
    }
}

//! What members of an organisation may do: four roles, each with everything that the one below it
//! may, and who may give which.

use serde::{Deserialize, Serialize};

use super::token::Scope;

/// A member's role, the lowest first: they compare as they rank.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Places and ends calls.
    Operator,
    /// Everything but the organisation itself and its owners.
    Admin,
    Owner,
}

const VIEWER: [Scope; 7] = [
    Scope::CallsRead,
    Scope::WebhooksRead,
    Scope::AgentsRead,
    Scope::AccountsRead,
    Scope::TokensRead,
    Scope::MembersRead,
    Scope::BillingRead,
];
const OPERATOR: [Scope; 2] = [Scope::CallsCreate, Scope::CallsEnd];
const ADMIN: [Scope; 6] = [
    Scope::WebhooksWrite,
    Scope::AgentsWrite,
    Scope::AccountsWrite,
    Scope::TokensWrite,
    Scope::MembersWrite,
    Scope::AuditRead,
];
const OWNER: [Scope; 1] = [Scope::OrganizationWrite];

impl Role {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What a member with this role may do.
    pub fn scopes(self) -> Vec<Scope> {
        let mut scopes = VIEWER.to_vec();
        if self >= Self::Operator {
            scopes.extend(OPERATOR);
        }
        if self >= Self::Admin {
            scopes.extend(ADMIN);
        }
        if self >= Self::Owner {
            scopes.extend(OWNER);
        }
        scopes
    }

    /// The highest role below owner whose every scope is among `scopes`: owners are people, and only
    /// an owner makes another.
    pub fn within(scopes: &[Scope]) -> Option<Self> {
        [Self::Admin, Self::Operator, Self::Viewer]
            .into_iter()
            .find(|role| role.scopes().iter().all(|scope| scopes.contains(scope)))
    }
}

/// Whether somebody who may manage roles up to `highest` may make `before` into `after`; `None`
/// stands for somebody who is no member, before or after. Nobody gives a role above their own, and
/// nobody touches who has one.
pub fn may_change(highest: Option<Role>, before: Option<Role>, after: Option<Role>) -> bool {
    highest.is_some() && before <= highest && after <= highest
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    #[test]
    fn each_role_may_what_the_one_below_it_may_and_more() {
        for pair in Role::VARIANTS.windows(2) {
            let (below, above) = (pair[0].scopes(), pair[1].scopes());
            assert!(below.iter().all(|scope| above.contains(scope)));
            assert!(above.len() > below.len());
        }
        let all = Role::Owner.scopes();
        assert_eq!(all.len(), Scope::VARIANTS.len(), "a scope that nobody has");
        assert!(Scope::VARIANTS.iter().all(|scope| all.contains(scope)));
    }

    #[test]
    fn viewers_only_read_and_operators_also_place_and_end_calls() {
        let names = |role: Role| -> Vec<&str> {
            let mut names: Vec<_> = role.scopes().into_iter().map(Scope::as_str).collect();
            names.sort_unstable();
            names
        };
        assert!(
            names(Role::Viewer)
                .iter()
                .all(|name| name.ends_with(":read"))
        );
        let mut more = names(Role::Operator);
        more.retain(|name| !name.ends_with(":read"));
        assert_eq!(more, ["calls:create", "calls:end"]);
        assert!(!names(Role::Viewer).contains(&"audit:read"));
        assert!(!names(Role::Admin).contains(&"organization:write"));
    }

    #[test]
    fn scopes_reach_up_to_a_role_and_never_to_owner() {
        for (scopes, highest) in [
            (Scope::VARIANTS.to_vec(), Some(Role::Admin)),
            (Role::Admin.scopes(), Some(Role::Admin)),
            (Role::Operator.scopes(), Some(Role::Operator)),
            (Role::Viewer.scopes(), Some(Role::Viewer)),
            (vec![Scope::MembersWrite], None),
            (Vec::new(), None),
        ] {
            assert_eq!(Role::within(&scopes), highest, "{scopes:?}");
        }
    }

    #[test]
    fn nobody_gives_a_role_above_their_own_or_touches_who_has_one() {
        use Role::{Admin, Operator, Owner, Viewer};
        for (highest, before, after, may) in [
            (Some(Owner), Some(Viewer), Some(Owner), true),
            (Some(Owner), Some(Owner), Some(Viewer), true),
            (Some(Owner), Some(Owner), None, true),
            (Some(Admin), None, Some(Admin), true),
            (Some(Admin), Some(Operator), Some(Admin), true),
            (Some(Admin), Some(Operator), Some(Owner), false),
            (Some(Admin), Some(Owner), Some(Admin), false),
            (Some(Admin), Some(Owner), None, false),
            (Some(Admin), None, Some(Owner), false),
            (Some(Viewer), None, Some(Operator), false),
            (None, None, Some(Viewer), false),
            (None, Some(Viewer), None, false),
        ] {
            assert_eq!(
                may_change(highest, before, after),
                may,
                "{highest:?} makes {before:?} {after:?}"
            );
        }
    }
}

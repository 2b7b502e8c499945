//! The JSON of a member.

use serde::Serialize;

use crate::{
    db::members::MemberRow,
    domain::{PersonId, Timestamp, role::Role},
};

/// Somebody who belongs to the organisation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Member)]
pub(in crate::http) struct MemberView {
    person_id: PersonId,
    email: String,
    name: String,
    role: Role,
    /// Since when.
    created_at: Timestamp,
}

impl MemberView {
    pub(super) fn of(row: MemberRow) -> Self {
        Self {
            person_id: row.person_id,
            email: row.email,
            name: row.name,
            role: row.role,
            created_at: row.created_at,
        }
    }
}

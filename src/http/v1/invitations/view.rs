//! The JSON of an invitation. What its mail carried is in no answer.

use serde::Serialize;

use crate::{
    db::invitations::InvitationRow,
    domain::{InvitationId, Timestamp, role::Role},
};

/// An offer to join the organisation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Invitation)]
pub(in crate::http) struct InvitationView {
    id: InvitationId,
    email: String,
    role: Role,
    /// As the audit log names who invited.
    invited_by: String,
    created_at: Timestamp,
    expires_at: Timestamp,
}

impl InvitationView {
    pub(super) fn of(row: InvitationRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            role: row.role,
            invited_by: row.invited_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}

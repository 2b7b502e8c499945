//! The JSON of an organisation.

use serde::Serialize;

use crate::{
    app::people::organization_not_found,
    db::organizations::OrganizationRow,
    domain::{OrganizationId, Result, Timestamp},
    http::extract::{Identity, Incoming},
};

/// An organisation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Organization)]
pub(in crate::http) struct OrganizationView {
    pub(super) id: OrganizationId,
    #[schema(example = "Example Ltd")]
    pub(super) name: String,
    pub(super) created_at: Timestamp,
    /// Null: ending by `terminate`, keys and invitations are not allowed yet.
    pub(super) verified_at: Option<Timestamp>,
}

impl OrganizationView {
    pub(super) fn of(row: OrganizationRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            verified_at: row.verified_at,
        }
    }
}

/// Whether the path names the organisation that the caller acts in.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`.
pub(super) fn named(incoming: &Incoming, identity: &Identity) -> Result<()> {
    let named: Option<OrganizationId> = incoming.param("organization_id").parse().ok();
    if named == Some(identity.scope.id()) {
        Ok(())
    } else {
        Err(organization_not_found())
    }
}

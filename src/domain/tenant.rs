//! The proof that an organisation was established.

use super::OrganizationId;

/// An organisation on whose behalf something is done.
///
/// There is no finder without one. It is made in four places only (`tests/it/architecture.rs`
/// holds the list): from a checked token (the operator's included, and in local mode without one),
/// from a verified provider callback, from a claimed row of our own queue, and from the operator's
/// command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrgScope(OrganizationId);

impl OrgScope {
    /// Asserts that the caller has established the organisation.
    pub fn assume(organization_id: OrganizationId) -> Self {
        Self(organization_id)
    }

    pub fn id(self) -> OrganizationId {
        self.0
    }
}

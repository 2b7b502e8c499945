//! People: who shows an access token, and which organisation is meant.

use super::{Incoming, bearer};
use crate::{
    app::{
        callers,
        people::{self, PersonByToken, Visitor},
    },
    domain::{OrganizationId, Result},
    http::HttpState,
};

const X_ORGANIZATION_ID: &str = "x-organization-id";

/// A person who acts on the own account, in no organisation.
pub(in crate::http) struct PersonIdentity {
    pub(in crate::http) person: PersonByToken,
    pub(in crate::http) visitor: Visitor,
}

impl Incoming {
    /// Identifies a person, for what concerns the person alone.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` (API tokens too: a program is no person), `DATABASE_UNAVAILABLE`.
    pub(in crate::http) async fn person(&self, state: &HttpState) -> Result<PersonIdentity> {
        let token = bearer(&self.headers).ok_or_else(callers::unauthenticated)?;
        Ok(PersonIdentity {
            person: people::recognise(&state.app, token).await?,
            visitor: self.visitor(),
        })
    }

    /// Who asks, when nobody has said who it is.
    pub(in crate::http) fn visitor(&self) -> Visitor {
        Visitor {
            address: self.context.address,
            request_id: self.context.request_id.to_string(),
        }
    }

    /// The organisation that a person means.
    ///
    /// # Errors
    /// `ORGANIZATION_NOT_FOUND` when it is named in a way that is no id, or more than once.
    pub(super) fn named_organization(&self) -> Result<Option<OrganizationId>> {
        let mut named = self.headers.get_all(X_ORGANIZATION_ID).iter();
        match (named.next(), named.next()) {
            (None, _) => Ok(None),
            (Some(id), None) => {
                let id = id.to_str().ok().and_then(|id| id.trim().parse().ok());
                id.map(Some).ok_or_else(people::organization_not_found)
            }
            (Some(_), Some(_)) => Err(people::organization_not_found()),
        }
    }
}

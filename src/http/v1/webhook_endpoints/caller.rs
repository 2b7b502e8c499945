//! Who asks for which receiver.

use crate::{
    app::{
        actor::By,
        webhook_endpoints::{Place, not_found},
    },
    domain::{Result, WebhookEndpointId},
    http::extract::Identity,
};

/// Who asks.
#[derive(Clone, Copy)]
pub(in crate::http::v1) struct Caller<'a>(pub(in crate::http::v1) &'a Identity);

impl<'a> Caller<'a> {
    pub(in crate::http::v1) fn by(self) -> By<'a> {
        self.0.by()
    }

    /// Everything that the caller may see.
    pub(in crate::http::v1) fn place(self) -> Place {
        Place::of(self.by())
    }
}

/// An endpoint's id as it stands in a path: what is none belongs to nobody.
pub(in crate::http::v1) fn id(text: &str) -> Result<WebhookEndpointId> {
    text.parse().map_err(|_| not_found())
}

//! Reading requests. Everything that is wrong with one comes out as a [`crate::domain::Error`], so
//! that each family of routes can say it in its own style.

mod body;
mod json;
mod query;

pub(super) use body::{MOST_BYTES, read as read_body};
pub(super) use json::{Members, object, parse as parse_json, parse_lenient as parse_json_lenient};
pub(super) use query::Query;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::{FromRequest, RawPathParams, Request},
    http::{HeaderMap, Method, Uri},
};

use super::{HttpState, layers::RequestContext};
use crate::{
    app::{Actor, actor, callers},
    domain::{
        Error, OrgScope, Result,
        token::{Caller, Scope},
    },
};

/// A request as handlers see it: parts read, body not yet.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) context: RequestContext,
    params: HashMap<String, String>,
    /// In a mutex because a body is not `Sync`, and handlers hold requests across awaits.
    body: Mutex<Body>,
}

/// Who is calling and for which organisation.
pub(super) struct Identity {
    pub(super) caller: Caller,
    pub(super) scope: OrgScope,
    pub(super) actor: Actor,
}

impl FromRequest<HttpState> for Incoming {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Self::Rejection> {
        use axum::RequestExt as _;
        let mut request = request;
        let params = request.extract_parts::<RawPathParams>().await.ok();
        let params = params.as_ref().map_or_else(HashMap::new, |params| {
            params
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        });
        let (parts, body) = request.into_parts();
        let context = parts.extensions.get::<RequestContext>().cloned();
        let context = context.unwrap_or_else(|| RequestContext {
            request_id: "".into(),
            address: None,
            received_at: state.app.ambient.now(),
            caller: std::sync::Arc::default(),
        });
        let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
        Ok(Self {
            method,
            uri,
            headers,
            context,
            params,
            body: Mutex::new(body),
        })
    }
}

impl Incoming {
    /// A parameter of the route's path, decoded; empty when the route has none of that name.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Identifies the caller and checks that its token has `scope`.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `SCOPE_MISSING`, `DATABASE_UNAVAILABLE`.
    pub(super) async fn identify(&self, state: &HttpState, scope: Scope) -> Result<Identity> {
        let token = bearer(&self.headers).ok_or_else(callers::unauthenticated)?;
        let caller = callers::identify(&state.app, token).await?;
        // The access line shows the first identification; there is one per request.
        drop(self.context.caller.set(caller.clone()));
        actor::authorize(&caller, scope)?;
        let actor = Actor::Token {
            caller: caller.clone(),
            address: self.context.address.map(|address| address.ip().to_string()),
            request_id: self.context.request_id.to_string(),
        };
        Ok(Identity {
            scope: OrgScope::assume(caller.organization_id),
            caller,
            actor,
        })
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// `PAYLOAD_TOO_LARGE`, `REQUEST_TIMEOUT`, `INVALID_REQUEST` (broken off).
    pub(super) async fn body(&mut self, most_bytes: usize) -> Result<Vec<u8>> {
        let body = std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner));
        read_body(&self.headers, body, most_bytes).await
    }
}

/// RFC 6750 section 2.1; the scheme's name in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers
        .get(axum::http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What is wrong with one member, as the only problem.
pub(super) fn wrong(pointer: &str, code: &'static str, message: impl Into<String>) -> Error {
    Error::field(pointer, code, message)
}

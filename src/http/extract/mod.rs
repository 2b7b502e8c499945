//! Reading requests. Everything that is wrong with one comes out as a [`crate::domain::Error`], so
//! that each family of routes can say it in its own style.

mod body;
mod json;
mod local;
mod person;
mod query;

pub(super) use body::{MOST_BYTES, read as read_body};
pub(super) use json::{
    Members, Nullable, nullable, object, parse as parse_json, parse_lenient as parse_json_lenient,
};
pub(super) use person::PersonIdentity;
pub(super) use query::Query;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::{FromRequest, RawPathParams, Request},
    http::{HeaderMap, HeaderValue, Method, Uri, header},
};

use super::{HttpState, layers::RequestContext};
use crate::{
    app::{
        Actor,
        actor::{self, By},
        callers, people,
        rates::Lane,
    },
    domain::{
        Error, ErrorCode, OrgScope, OrganizationId, Result,
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
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) caller: Caller,
    pub(super) scope: OrgScope,
    pub(super) actor: Actor,
}

impl Identity {
    /// As whom operations act.
    pub(super) fn by(&self) -> By<'_> {
        By {
            scope: self.scope,
            actor: &self.actor,
        }
    }
}

/// The operator, who may act for any organisation.
pub(super) struct Admin {
    actor: Actor,
}

impl Admin {
    /// As whom the operator acts in the organisation of a call that was found.
    pub(super) fn identity_in(&self, organization_id: OrganizationId) -> Identity {
        Identity {
            caller: Caller::without_token(organization_id, vec![Scope::CallsEnd]),
            scope: OrgScope::assume(organization_id),
            actor: self.actor.clone(),
        }
    }
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
            peer: None,
            address: None,
            received_at: state.app.ambient.now(),
            caller: std::sync::Arc::default(),
            standing: std::sync::Arc::default(),
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

    /// Identifies the caller, a program by its API token or a person by an access token, and checks
    /// that it may do what `scope` says.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `RATE_LIMITED`, `SCOPE_MISSING`, `ENVIRONMENT_MISMATCH`,
    /// `DATABASE_UNAVAILABLE`; for people also `ORGANIZATION_NOT_FOUND` and `INVALID_REQUEST`, when it cannot be told which organisation is
    /// meant.
    pub(super) async fn identify(&self, state: &HttpState, scope: Scope) -> Result<Identity> {
        let identity = self.recognise(state).await?;
        self.count(state, &identity.caller, Some(scope))?;
        actor::authorize(&identity.caller, scope)?;
        Ok(identity)
    }

    /// As [`Incoming::identify`], for what any caller of the organisation may do.
    ///
    /// # Errors
    /// As [`Incoming::identify`], but never `SCOPE_MISSING`.
    pub(super) async fn identify_member(&self, state: &HttpState) -> Result<Identity> {
        let identity = self.recognise(state).await?;
        self.count(state, &identity.caller, None)?;
        Ok(identity)
    }

    /// Who calls, whatever it is for.
    async fn recognise(&self, state: &HttpState) -> Result<Identity> {
        let token = bearer(&self.headers).ok_or_else(callers::unauthenticated)?;
        let address = self.context.address;
        let caller = if token.starts_with("ohk_") {
            callers::identify(&state.app, token, address).await?
        } else {
            people::identify(&state.app, token, self.named_organization()?).await?
        };
        // The access line shows the first identification; there is one per request.
        drop(self.context.caller.set(caller.clone()));
        Ok(self.identity_of(caller))
    }

    /// Counts the request against the caller's quotas.
    fn count(&self, state: &HttpState, caller: &Caller, scope: Option<Scope>) -> Result<()> {
        let safe = self.method == Method::GET || scope == Some(Scope::CallsEnd);
        let lane = if safe { Lane::Safety } else { Lane::Ordinary };
        let (standing, counted) = match state.app.rates.count(caller, lane) {
            Ok(standing) => (standing, Ok(())),
            Err(refusal) => (Some(refusal.standing), Err(refusal.into())),
        };
        if let Some(standing) = standing {
            self.context.standing.get_or_init(|| standing);
        }
        counted
    }

    /// As [`Incoming::identify`]; in local mode, what comes from this machine without a token acts
    /// as the local organisation.
    ///
    /// # Errors
    /// As [`Incoming::identify`].
    pub(super) async fn identify_or_local(
        &self,
        state: &HttpState,
        scope: Scope,
    ) -> Result<Identity> {
        let Some(organization_id) = self.local_organization(state) else {
            return self.identify(state, scope).await;
        };
        if !local::is_from_this_machine(&self.headers, &self.uri, self.context.peer) {
            return Err(Error::new(
                ErrorCode::Unauthenticated,
                "Send a valid API token: without one, local mode answers programs and pages of \
                 this machine that ask for localhost, and no proxy",
            ));
        }
        let scopes = vec![Scope::CallsRead, Scope::CallsCreate, Scope::CallsEnd];
        let caller = Caller::without_token(organization_id, scopes);
        drop(self.context.caller.set(caller.clone()));
        Ok(self.identity_of(caller))
    }

    /// A page of this machine that may read what local mode answers, as its browser names it.
    pub(super) fn local_page(&self, state: &HttpState) -> Option<HeaderValue> {
        self.local_organization(state)?;
        local::is_from_this_machine(&self.headers, &self.uri, self.context.peer)
            .then(|| local::local_page(&self.headers).cloned())
            .flatten()
    }

    /// Who a request without a token acts as, in local mode.
    fn local_organization(&self, state: &HttpState) -> Option<OrganizationId> {
        let has_token = self.headers.contains_key(header::AUTHORIZATION);
        state.local_organization.filter(|_| !has_token)
    }

    /// Checks the operator's token, in constant time.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub(super) fn admin(&self, state: &HttpState) -> Result<Admin> {
        let mut shown = self.headers.get_all("x-admin-token").iter();
        let is_admin = match (shown.next(), shown.next(), &state.admin_token) {
            (Some(shown), None, Some(token)) => token.is(shown.as_bytes()),
            _ => false,
        };
        if !is_admin {
            return Err(Error::new(
                ErrorCode::Unauthenticated,
                "Send the admin token: X-Admin-Token",
            ));
        }
        let actor = Actor::Admin {
            address: self.address(),
            request_id: self.context.request_id.to_string(),
        };
        Ok(Admin { actor })
    }

    fn identity_of(&self, caller: Caller) -> Identity {
        let actor = Actor::Token {
            caller: caller.clone(),
            address: self.address(),
            request_id: self.context.request_id.to_string(),
        };
        Identity {
            scope: OrgScope::assume(caller.organization_id),
            caller,
            actor,
        }
    }

    fn address(&self) -> Option<String> {
        self.context.address.map(|address| address.to_string())
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

/// An organisation that has just taken somebody in by an invitation.
pub(super) fn established(organization_id: OrganizationId) -> OrgScope {
    OrgScope::assume(organization_id)
}

/// RFC 6750 section 2.1; the scheme's name in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What is wrong with one member, as the only problem.
pub(super) fn wrong(pointer: &str, code: &'static str, message: impl Into<String>) -> Error {
    Error::field(pointer, code, message)
}

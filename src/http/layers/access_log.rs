//! The request's id and its one line in the log: the route (never the path with its ids, never the
//! query), who asked, how it came out, how long it took.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};

use super::{Arrival, rate_headers};
use crate::{
    app::rates::Standing,
    db::admission::{self, Urgency},
    domain::{Timestamp, token::Caller},
    http::HttpState,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What is known of a request beside its parts.
#[derive(Clone, Debug)]
pub(in crate::http) struct RequestContext {
    pub(in crate::http) request_id: Arc<str>,
    /// Who connects.
    pub(in crate::http) peer: Option<SocketAddr>,
    /// Who asks: another one than the peer when that is a trusted proxy.
    pub(in crate::http) address: Option<IpAddr>,
    pub(in crate::http) received_at: Timestamp,
    /// Set once the caller is identified.
    pub(in crate::http) caller: Arc<OnceLock<Caller>>,
    /// Set once the request is counted.
    pub(in crate::http) standing: Arc<OnceLock<Standing>>,
}

pub(in crate::http) async fn access_log(
    State(state): State<HttpState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let context = context(&state, &request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or_else(
        || "unmatched".to_owned(),
        |matched| matched.as_str().to_owned(),
    );
    request.extensions_mut().insert(context.clone());
    let urgency = urgency(&method, &route);
    let mut response = admission::with(urgency, next.run(request)).await;
    if let Ok(value) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    if let Some(standing) = context.standing.get() {
        rate_headers::insert(response.headers_mut(), standing);
    }
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    state
        .metrics
        .request(method.as_str(), &route, status, elapsed);
    let caller = context.caller.get();
    tracing::info!(
        request.id = &*context.request_id,
        http.method = method.as_str(),
        http.route = route,
        http.status = status,
        org.id = caller.map(|caller| tracing::field::display(caller.organization_id)),
        token.id = caller
            .and_then(Caller::token_id)
            .map(tracing::field::display),
        person.id = caller
            .and_then(Caller::person_id)
            .map(tracing::field::display),
        elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        "request"
    );
    response
}

/// How urgent a request is: ending calls and what tells of one call come before the rest, and that
/// before what strangers may ask.
fn urgency(method: &Method, route: &str) -> Urgency {
    match route {
        "/api/v1/calls/{id}" if method == Method::GET => Urgency::Safety,
        "/api/v1/calls/{id}/end"
        | "/api/v1/calls/{call_sid}/terminate"
        | "/api/v1/admin/cancel/{call_id}"
        | "/api/v1/agents/{agent_id}/end-call"
        | "/api/calls/{call_id}/end"
        | "/callbacks/{provider}/{account_id}/calls/{call_id}"
        | "/callbacks/{provider}/{account_id}"
        | "/readyz" => Urgency::Safety,
        "/api/v1/auth/login"
        | "/api/v1/auth/register"
        | "/api/v1/auth/verify-email"
        | "/api/v1/auth/password/forgot"
        | "/api/v1/auth/password/reset" => Urgency::Stranger,
        _ => Urgency::Ordinary,
    }
}

fn context(state: &HttpState, request: &Request) -> RequestContext {
    let extensions = request.extensions();
    let peer = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0);
    let forwarded_for = request.headers().get_all(X_FORWARDED_FOR).iter();
    // What is no text is no address.
    let forwarded_for = forwarded_for.map(|value| value.to_str().unwrap_or_default());
    RequestContext {
        request_id: format!("req_{}", state.app.ambient.entropy.uuid().simple()).into(),
        peer,
        address: peer.map(|peer| state.trusted_proxies.client(peer.ip(), forwarded_for)),
        received_at: extensions
            .get::<Arrival>()
            .map_or_else(|| state.app.ambient.now(), |arrival| arrival.0),
        caller: Arc::default(),
        standing: Arc::default(),
    }
}

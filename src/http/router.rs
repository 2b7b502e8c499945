//! Every route on one screen, grouped by who may call it.

use axum::{Router, extract::Request, middleware, response::Response, routing::get};
use tower::{ServiceExt as _, util::BoxCloneSyncService};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    HttpState, callbacks, dropin, health, layers,
    openapi::{self, Document},
    pages::{account, error_codes},
    v1::{
        agents, audit, auth, calls, events, invitations, members, notices, organizations,
        phone_numbers, provider_accounts, sessions, stream, tokens, webhook_endpoints,
    },
};

/// Everything that is documented.
#[expect(
    clippy::cognitive_complexity,
    reason = "counts what `routes!` expands to; the list itself has no branch"
)]
pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::with_openapi(Document::openapi())
        // Programs with a token: canonical
        .routes(routes!(calls::list::list, calls::create::create))
        .routes(routes!(calls::count::count))
        .routes(routes!(calls::adopt::adopt))
        .routes(routes!(
            calls::get::get,
            calls::update::change,
            calls::delete::delete
        ))
        .routes(routes!(calls::end::end, calls::receipt::receipt))
        .routes(routes!(calls::events::events))
        .routes(routes!(calls::why::why))
        .routes(routes!(stream::watch))
        .merge(receivers())
        .routes(routes!(tokens::list::list, tokens::create::create))
        .routes(routes!(tokens::get::get, tokens::revoke::revoke))
        .routes(routes!(tokens::rotate::rotate))
        .routes(routes!(agents::list::list, agents::create::create))
        .routes(routes!(
            agents::get::get,
            agents::update::update,
            agents::delete::delete
        ))
        .routes(routes!(agents::publish::publish))
        .routes(routes!(agents::publish::unpublish))
        .routes(routes!(
            provider_accounts::list::list,
            provider_accounts::connect::connect
        ))
        .routes(routes!(
            provider_accounts::get::get,
            provider_accounts::disconnect::disconnect
        ))
        .routes(routes!(provider_accounts::rotate::rotate))
        .routes(routes!(provider_accounts::doctor::doctor))
        .routes(routes!(
            phone_numbers::list::list,
            phone_numbers::create::create
        ))
        .routes(routes!(
            phone_numbers::get::get,
            phone_numbers::update::update,
            phone_numbers::delete::delete
        ))
        .routes(routes!(audit::list::list))
        .merge(of_people())
        // Programs with a token: as other products answer
        .routes(routes!(dropin::agent_end_call::end_call))
        .routes(routes!(dropin::agent_call::call))
        .routes(routes!(dropin::terminate::terminate))
        // The same; in local mode without a token
        .routes(routes!(dropin::session_call::call))
        .routes(routes!(dropin::session_list::list))
        .routes(routes!(dropin::session_end::end))
        // The operator
        .routes(routes!(dropin::admin_cancel::cancel))
        // Providers, by signature
        .routes(routes!(callbacks::callback))
        .routes(routes!(callbacks::account_callback))
        // Anybody
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::serve))
}

/// What people do, and what concerns them.
#[expect(
    clippy::cognitive_complexity,
    reason = "counts what `routes!` expands to; the list itself has no branch"
)]
fn of_people() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        // Programs with a token, and people: the organisation and its members
        .routes(routes!(
            organizations::get::get,
            organizations::update::update
        ))
        .routes(routes!(members::list::list))
        .routes(routes!(members::update::update, members::delete::delete))
        .routes(routes!(
            invitations::list::list,
            invitations::create::create
        ))
        .routes(routes!(invitations::delete::delete))
        // People, about themselves
        .routes(routes!(organizations::list::list))
        .routes(routes!(invitations::accept::accept))
        .routes(routes!(sessions::list::list))
        .routes(routes!(sessions::delete::delete))
        .routes(routes!(auth::change_password::change_password))
        // People who have not said who they are
        .routes(routes!(auth::register::register))
        .routes(routes!(auth::verify_email::verify_email))
        .routes(routes!(auth::login::login))
        .routes(routes!(auth::refresh::refresh))
        .routes(routes!(auth::logout::logout))
        .routes(routes!(auth::forgot_password::forgot_password))
        .routes(routes!(auth::reset_password::reset_password))
}

/// Who is told of events, over whichever channel, and what was told.
#[expect(
    clippy::cognitive_complexity,
    reason = "counts what `routes!` expands to; the list itself has no branch"
)]
fn receivers() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(
            webhook_endpoints::list::list,
            webhook_endpoints::create::create
        ))
        .routes(routes!(
            webhook_endpoints::get::get,
            webhook_endpoints::update::update,
            webhook_endpoints::delete::delete
        ))
        .routes(routes!(webhook_endpoints::rotate_secret::rotate_secret))
        .routes(routes!(webhook_endpoints::send_test::send_test))
        .routes(routes!(webhook_endpoints::replay::replay))
        .routes(routes!(webhook_endpoints::deliveries::deliveries))
        .routes(routes!(webhook_endpoints::delivery::delivery))
        .routes(routes!(webhook_endpoints::resend::resend))
        .routes(routes!(
            webhook_endpoints::agent::list_of_agent,
            webhook_endpoints::agent::create_of_agent
        ))
        .routes(routes!(
            webhook_endpoints::agent::get_of_agent,
            webhook_endpoints::agent::update_of_agent,
            webhook_endpoints::agent::delete_of_agent
        ))
        .routes(routes!(events::events))
        .routes(routes!(notices::manage::list, notices::create::create))
        .routes(routes!(
            notices::manage::get,
            notices::manage::update,
            notices::manage::delete
        ))
        .routes(routes!(notices::manage::send_test))
        .routes(routes!(notices::deliveries::list))
        .routes(routes!(notices::deliveries::get))
}

/// The public listener's service.
pub fn router(
    state: HttpState,
) -> BoxCloneSyncService<Request, Response, std::convert::Infallible> {
    let (documented, document) = routes().split_for_parts();
    // Without them the pages would still serve; the test of the document sees that they are there.
    let document = openapi::with_webhooks(document.clone()).unwrap_or(document);
    let pages = SwaggerUi::new("/docs")
        .url("/docs/openapi.json", document)
        .config(
            Config::default()
                .try_it_out_enabled(true)
                .persist_authorization(false),
        );
    let router: Router = documented
        .merge(pages)
        .route("/docs/errors", get(error_codes))
        .route("/account", get(account))
        .fallback(callbacks::nowhere)
        .method_not_allowed_fallback(callbacks::wrong_method)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            layers::access_log,
        ))
        .layer(middleware::from_fn(layers::read_unread_body))
        .with_state(state);
    BoxCloneSyncService::new(router.map_request(layers::without_trailing_slash))
}

//! Who got hold of an account or a password before its owner did, and is put out of it.

use onhook::{app::people::register, domain::password::Password, domain::role::Role};
use serde_json::json;

use super::{PASSWORD, bearing, logged_in, login, mailed, post, text};
use crate::support::app::TestApp;

const EMAIL: &str = "ada@example.com";
const NEW: &str = "staple battery horse";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registered_an_address_first_is_not_in_the_account_that_the_operator_makes() {
    let app = TestApp::by_hand().await;
    let squatters = "the squatters own";
    let body =
        json!({"email": EMAIL, "password": squatters, "name": "A", "organization_name": "A"});
    post(&app, "/api/v1/auth/register", body).await;
    let link = mailed(&app, EMAIL, "verify-email").await;
    let session = login(&app, EMAIL, squatters).await.json();

    let new = register::ByOperator {
        email: EMAIL.parse().expect("an address"),
        name: "Ada".to_owned(),
        password: Password::shown(PASSWORD.to_owned()).expect("one"),
    };
    let scope = app.tenant.scope;
    let made = register::by_operator(&app.app, scope, &new, Role::Owner).await;
    made.expect("a member");

    assert_eq!(login(&app, EMAIL, squatters).await.status, 401);
    let refresh = json!({"refresh_token": text(&session, "refresh_token")});
    let refreshed = post(&app, "/api/v1/auth/refresh", refresh).await;
    assert_eq!(refreshed.status, 401, "{}", refreshed.text);
    let verified = post(&app, "/api/v1/auth/verify-email", json!({"token": link})).await;
    assert_eq!(verified.status, 400, "{}", verified.text);
    let ada = logged_in(&app, EMAIL).await;
    let ada = bearing(&app, text(&ada, "access_token"));
    let organizations = ada.get("/api/v1/organizations").await.json();
    let tenant = app.tenant.organization_id.to_string();
    let roles = organizations["items"].as_array().into_iter().flatten();
    let role = roles.filter(|of| of["id"] == tenant).map(|of| &of["role"]);
    assert_eq!(role.collect::<Vec<_>>(), ["owner"], "{organizations}");

    // One that is confirmed stays as its owner has it.
    let again = register::ByOperator {
        password: Password::shown(NEW.to_owned()).expect("one"),
        ..new
    };
    let made = register::by_operator(&app.app, scope, &again, Role::Owner).await;
    made.expect("a member");
    logged_in(&app, EMAIL).await;
    assert_eq!(login(&app, EMAIL, NEW).await.status, 401);
    app.stop().await;
}

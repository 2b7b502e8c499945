//! Who got hold of an account or a password before its owner did, and is put out of it.

use onhook::{app::people::register, domain::password::Password, domain::role::Role};
use serde_json::{Value, json};
use sqlx::Executor as _;

use super::{PASSWORD, bearing, logged_in, login, mailed, post, text};
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    wait::wait_for,
};

const EMAIL: &str = "person@example.com";
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
        name: "Person".to_owned(),
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
    let person = logged_in(&app, EMAIL).await;
    let person = bearing(&app, text(&person, "access_token"));
    let organizations = person.get("/api/v1/organizations").await.json();
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

/// How many of the account's sessions go on.
async fn sessions(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM sessions WHERE ended_at IS NULL")
        .fetch_one(&mut app.database.as_owner().await)
        .await
        .expect("a count")
}

/// Sends a request whose statement has to wait for a login by the password that was good until then,
/// which has begun its session and not committed yet.
async fn meanwhile_logged_in(
    app: &TestApp,
    client: &TestClient,
    path: &str,
    body: &Value,
    statement: &str,
) -> Reply {
    let mut logging_in = app.database.as_owner().await;
    let begun = "BEGIN; UPDATE people SET password_hash = password_hash;
        INSERT INTO sessions (id, person_id, created_at, refreshed_at, expires_at)
        SELECT gen_random_uuid(), id, created_at, created_at, created_at + interval '14 days'
        FROM people";
    logging_in.execute(begun).await.expect("begun");
    let waits = || async {
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'
            AND datname = current_database() AND starts_with(query, $1))";
        sqlx::query_scalar::<_, bool>(waiting)
            .bind(format!("/* {statement} */"))
            .fetch_one(&mut app.database.as_owner().await)
            .await
            .expect("an answer")
    };
    let commit = async {
        wait_for(statement, waits, |waits| *waits).await;
        logging_in.execute("COMMIT").await.expect("logged in");
    };
    let (reply, ()) = tokio::join!(client.post(path, body), commit);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_begins_while_the_password_changes_is_over_with_it() {
    let app = TestApp::by_hand().await;
    let nobody = app.client.with_token(None);
    let register = |password: &str| json!({"email": EMAIL, "password": password, "name": "A", "organization_name": "A"});
    let path = "/api/v1/auth/register";
    post(&app, path, register(NEW)).await;
    mailed(&app, EMAIL, "verify-email").await;
    let (body, statement) = (register(PASSWORD), "db::people::register");
    let again = meanwhile_logged_in(&app, &nobody, path, &body, statement).await;
    assert_eq!((again.status, sessions(&app).await), (202, 0));
    let token = mailed(&app, EMAIL, "verify-email").await;
    let verified = post(&app, "/api/v1/auth/verify-email", json!({"token": token})).await;
    assert_eq!(verified.status, 204, "{}", verified.text);

    let here = logged_in(&app, EMAIL).await;
    let person = bearing(&app, text(&here, "access_token"));
    let path = "/api/v1/auth/password/change";
    let body = json!({"password": PASSWORD, "new_password": NEW});
    let statement = "db::people::change_password";
    let changed = meanwhile_logged_in(&app, &person, path, &body, statement).await;
    // The one that changed it.
    assert_eq!((changed.status, sessions(&app).await), (204, 1));
    let refresh = json!({"refresh_token": text(&here, "refresh_token")});
    assert_eq!(
        post(&app, "/api/v1/auth/refresh", refresh).await.status,
        200
    );

    let forgot = json!({"email": EMAIL});
    post(&app, "/api/v1/auth/password/forgot", forgot).await;
    let token = mailed(&app, EMAIL, "reset-password").await;
    let path = "/api/v1/auth/password/reset";
    let body = json!({"token": token, "password": PASSWORD});
    let statement = "db::people::reset_password";
    let reset = meanwhile_logged_in(&app, &nobody, path, &body, statement).await;
    assert_eq!((reset.status, sessions(&app).await), (204, 0));
    app.stop().await;
}

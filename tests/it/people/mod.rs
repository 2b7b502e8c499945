//! People: accounts, sessions, members, and what is tried against them.

mod accounts;
mod attempts;
mod load;
mod members;
mod sessions;
mod takeovers;

use onhook::domain::role::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{self, Tenant, TestApp},
    client::{Reply, TestClient},
    wait::wait_for,
};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A client without a token.
pub(super) fn nobody(app: &TestApp) -> TestClient {
    app.client.with_token(None)
}

pub(super) fn bearing(app: &TestApp, access_token: &str) -> TestClient {
    app.client.with_token(Some(access_token))
}

pub(super) async fn post(app: &TestApp, path: &str, body: Value) -> Reply {
    nobody(app).post(path, &body).await
}

pub(super) async fn patch(client: &TestClient, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    client
        .send(Method::PATCH, path, &headers, &body.to_string())
        .await
}

/// Sends what is due and takes what the mail to this address carries in its link of this kind.
pub(super) async fn mailed(app: &TestApp, to: &str, kind: &str) -> String {
    let look = || async {
        app.node.worker.send_mails().await.expect("a round");
        take(app, to, kind)
    };
    let found = wait_for(&format!("a mail to {to}"), look, Option::is_some).await;
    found.expect("a mail")
}

/// Whether a mail to this address came that says this, and the secret of its link; it is taken.
pub(super) fn take(app: &TestApp, to: &str, says: &str) -> Option<String> {
    let text = take_whole(app, to, says)?;
    let link = text.split(&format!("/account#{says}=")).nth(1);
    let secret = link.and_then(|rest| rest.split_whitespace().next());
    Some(secret.unwrap_or_default().to_owned())
}

/// The mail to this address that says this, as it was sent; it is taken.
pub(crate) fn take_whole(app: &TestApp, to: &str, says: &str) -> Option<String> {
    let folder = std::fs::read_dir(app::mails(&app.database.url)).ok()?;
    for entry in folder.flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        if !text.contains(&format!("To: {to}\r\n")) || !text.contains(says) {
            continue;
        }
        std::fs::remove_file(entry.path()).expect("removed");
        return Some(text);
    }
    None
}

/// Registers somebody with an organisation, and confirms the address.
pub(super) async fn registered(app: &TestApp, email: &str) {
    let body = json!({
        "email": email, "password": PASSWORD, "name": "Example Person", "organization_name": "Example",
    });
    let reply = post(app, "/api/v1/auth/register", body).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let token = mailed(app, email, "verify-email").await;
    let reply = post(app, "/api/v1/auth/verify-email", json!({"token": token})).await;
    assert_eq!(reply.status, 204, "{}", reply.text);
}

/// What a login answers.
pub(super) async fn login(app: &TestApp, email: &str, password: &str) -> Reply {
    let body = json!({"email": email, "password": password});
    post(app, "/api/v1/auth/login", body).await
}

/// The tokens of a session that has just begun.
pub(super) async fn logged_in(app: &TestApp, email: &str) -> Value {
    let reply = login(app, email, PASSWORD).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// Makes somebody a member of the tenant and logs in: the person's id and a client.
pub(super) async fn member(
    app: &TestApp,
    tenant: &Tenant,
    email: &str,
    role: Role,
) -> (String, TestClient) {
    let (id, token) = signed_in(app, tenant, email, role).await;
    (id, bearing(app, &token))
}

/// As [`member`], with the access token.
pub(crate) async fn signed_in(
    app: &TestApp,
    tenant: &Tenant,
    email: &str,
    role: Role,
) -> (String, String) {
    let new = onhook::app::people::register::ByOperator {
        email: email.parse().expect("an address"),
        name: "Member".to_owned(),
        password: onhook::domain::password::Password::shown(PASSWORD.to_owned()).expect("one"),
    };
    let made = onhook::app::people::register::by_operator(&app.app, tenant.scope, &new, role);
    let id = made.await.expect("a member").to_string();
    let tokens = logged_in(app, email).await;
    (id, text(&tokens, "access_token").to_owned())
}

/// An answer without its request's own id.
pub(super) fn bytes(reply: &Reply) -> (u16, String) {
    let id = reply.header("x-request-id").expect("an id");
    (reply.status, reply.text.replace(id, "{request}"))
}

//! Organisations, members, roles, invitations: who may what, and nobody more.

use onhook::domain::{
    role::Role,
    token::{Environment, Scope},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    PASSWORD, bearing, bytes, logged_in, login, mailed, member, patch, post, registered, text,
};
use crate::support::{app::TestApp, client::TestClient, wait::wait_for};

fn path(person: &str) -> String {
    format!("/api/v1/members/{person}")
}

async fn role(client: &TestClient, person: &str, role: &str) -> (u16, Value) {
    let reply = patch(client, &path(person), &json!({"role": role})).await;
    (reply.status, reply.json()["code"].clone())
}

async fn remove(client: &TestClient, person: &str) -> (u16, Value) {
    let reply = client.delete(&path(person)).await;
    let code = serde_json::from_str::<Value>(&reply.text).unwrap_or_default()["code"].clone();
    (reply.status, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_read_operators_end_calls_admins_invite_and_owners_rename() {
    let app = TestApp::by_hand().await;
    let organization = format!("/api/v1/organizations/{}", app.tenant.organization_id);
    let call = app.place_answered().await;
    for (number, (role, ends, invites, renames)) in [
        (Role::Viewer, 403, 403, 403),
        (Role::Operator, 200, 403, 403),
        (Role::Admin, 200, 201, 403),
        (Role::Owner, 200, 201, 200),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("{}@example.com", role.as_str());
        let (_, client) = member(&app, &app.tenant, &email, role).await;
        assert_eq!(client.get("/api/v1/calls").await.status, 200);
        assert_eq!(client.get("/api/v1/members").await.status, 200);
        let path = format!("/api/v1/calls/{call}/end");
        let no_wait = [("prefer", "wait=0")];
        let end = client.send(Method::POST, &path, &no_wait, "").await;
        assert!(
            end.status == ends || end.status == 202 && ends == 200,
            "{role:?}: {}",
            end.text
        );
        let invitation = json!({"email": format!("new{number}@example.com"), "role": "viewer"});
        let reply = client.post("/api/v1/invitations", &invitation).await;
        assert_eq!(reply.status, invites, "{role:?}: {}", reply.text);
        let reply = patch(&client, &organization, &json!({"name": "Tenant & Co"})).await;
        assert_eq!(reply.status, renames, "{role:?}: {}", reply.text);
        if reply.status == 403 {
            assert_eq!(reply.json()["code"], "SCOPE_MISSING");
            assert!(
                reply.json()["detail"]
                    .as_str()
                    .expect("text")
                    .contains("organization:write")
            );
        }
    }
    let receipt = app.client.get(&format!("/api/v1/calls/{call}/end")).await;
    assert!(receipt.text.contains("person:"), "{}", receipt.text);
    app.stop().await;
}

/// They may be remembered as what they were for two seconds: what they give would stay.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_made_less_or_removed_gives_nothing_more() {
    let app = TestApp::by_hand().await;
    let (_, owner) = member(&app, &app.tenant, "owner@example.com", Role::Owner).await;
    let (bob_id, bob) = member(&app, &app.tenant, "bob@example.com", Role::Owner).await;
    let invitation = json!({"email": "bob2@example.com", "role": "viewer"});
    let token = json!({"name": "mine", "scopes": ["calls:read"]});
    for (after, refused) in [
        (Some("viewer"), (403, "SCOPE_MISSING")),
        (None, (404, "ORGANIZATION_NOT_FOUND")),
    ] {
        // Remembered as an owner, unless the machine is slow.
        assert_eq!(role(&owner, &bob_id, "owner").await.0, 200);
        let remembered = || async { bob.get("/api/v1/audit").await.status };
        wait_for("Bob to be an owner", remembered, |status| *status == 200).await;
        let done = match after {
            Some(after) => role(&owner, &bob_id, after).await.0,
            None => remove(&owner, &bob_id).await.0,
        };
        assert!(matches!(done, 200 | 204), "{after:?}: {done}");
        let own = patch(&bob, &path(&bob_id), &json!({"role": "owner"})).await;
        let invited = bob.post("/api/v1/invitations", &invitation).await;
        let made = bob.post("/api/v1/tokens", &token).await;
        for reply in [own, invited, made] {
            let answered = (reply.status, reply.json()["code"].clone());
            assert_eq!(answered, (refused.0, json!(refused.1)), "{after:?}");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_a_role_above_their_own_or_touches_who_has_one() {
    let app = TestApp::by_hand().await;
    let (owner_id, owner) = member(&app, &app.tenant, "owner@example.com", Role::Owner).await;
    let (admin_id, admin) = member(&app, &app.tenant, "admin@example.com", Role::Admin).await;
    let (viewer_id, viewer) = member(&app, &app.tenant, "viewer@example.com", Role::Viewer).await;
    let low = (403, json!("ROLE_TOO_LOW"));
    let program = &app.client;
    for client in [&admin, program] {
        assert_eq!(role(client, &viewer_id, "owner").await, low);
        assert_eq!(role(client, &owner_id, "viewer").await, low);
        assert_eq!(remove(client, &owner_id).await, low);
        let body = json!({"email": "other@example.com", "role": "owner"});
        let reply = client.post("/api/v1/invitations", &body).await;
        assert_eq!((reply.status, reply.json()["code"].clone()), low);
    }
    assert_eq!(role(&admin, &admin_id, "owner").await, low);
    let missing = (403, json!("SCOPE_MISSING"));
    assert_eq!(role(&viewer, &viewer_id, "admin").await, missing);
    assert_eq!(remove(&viewer, &admin_id).await, missing);
    // Mass assignment: what is not a member of the request is refused, not ignored.
    let body = json!({"role": "viewer", "organization_id": app.stranger.organization_id});
    assert_eq!(patch(&owner, &path(&viewer_id), &body).await.status, 422);

    // A token that can do less gives less, and one for some agents gives nothing.
    let mut scopes = Role::Viewer.scopes();
    scopes.push(Scope::MembersWrite);
    let narrow = app.token(Environment::Live, &scopes, None).await;
    let narrow = app.client.with_token(Some(&narrow));
    assert_eq!(role(&narrow, &viewer_id, "operator").await, low);
    let agents = Some(vec![app.tenant.agent_id]);
    let restricted = app
        .token(Environment::Live, &Role::Owner.scopes(), agents)
        .await;
    let restricted = app.client.with_token(Some(&restricted));
    assert_eq!(role(&restricted, &viewer_id, "viewer").await, low);

    assert_eq!(role(&admin, &viewer_id, "admin").await.0, 200);
    assert_eq!(role(&owner, &admin_id, "owner").await.0, 200);
    assert_eq!(role(&owner, &owner_id, "viewer").await.0, 200);
    let audit: Vec<(String, Value)> = sqlx::query_as(
        "SELECT actor, detail FROM audit_entries WHERE action = 'member.update' ORDER BY at, id",
    )
    .fetch_all(&mut app.database.as_owner().await)
    .await
    .expect("entries");
    assert_eq!(audit.len(), 3, "{audit:?}");
    assert!(
        audit
            .iter()
            .any(|(actor, detail)| *actor == format!("person:{admin_id}")
                && *detail == json!({"before": {"role": "viewer"}, "after": {"role": "admin"}}))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_never_loses_its_last_owner_not_even_when_two_go_at_once() {
    let app = TestApp::by_hand().await;
    let (first_id, first) = member(&app, &app.tenant, "first@example.com", Role::Owner).await;
    let last = (409, json!("LAST_OWNER"));
    assert_eq!(remove(&first, &first_id).await, last);
    assert_eq!(role(&first, &first_id, "admin").await, last);
    assert_eq!(role(&first, &first_id, "owner").await.0, 200);

    let owners = || async {
        let members = app.client.get("/api/v1/members").await.json();
        let items = members["items"].as_array().expect("members").clone();
        items
            .iter()
            .filter(|member| member["role"] == "owner")
            .count()
    };
    for _ in 0..5 {
        // New sessions: what a node knows of a person may be two seconds old.
        let (first_id, first) = member(&app, &app.tenant, "first@example.com", Role::Owner).await;
        let (second_id, second) =
            member(&app, &app.tenant, "second@example.com", Role::Owner).await;
        let (one, other) = tokio::join!(
            role(&first, &first_id, "admin"),
            role(&second, &second_id, "admin"),
        );
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
        assert_eq!(owners().await, 1);
    }
    let (first_id, first) = member(&app, &app.tenant, "first@example.com", Role::Owner).await;
    let (second_id, second) = member(&app, &app.tenant, "second@example.com", Role::Owner).await;
    let (one, other) = tokio::join!(remove(&first, &first_id), remove(&second, &second_id));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{one:?} {other:?}");
    assert_eq!(owners().await, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_good_once_in_time_and_for_its_address() {
    let app = TestApp::by_hand().await;
    let (_, owner) = member(&app, &app.tenant, "owner@example.com", Role::Owner).await;
    let invite = |email: &str| {
        let (owner, body) = (owner.clone(), json!({"email": email, "role": "operator"}));
        async move { owner.post("/api/v1/invitations", &body).await }
    };
    let register = |email: &str, token: &str| {
        let body =
            json!({"email": email, "password": PASSWORD, "name": "Bob", "invitation": token});
        post(&app, "/api/v1/auth/register", body)
    };
    let made = invite("bob@example.com").await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(!made.text.contains("ohl_"), "{}", made.text);
    let token = mailed(&app, "bob@example.com", "invitation").await;
    let stolen = register("other@example.com", &token).await;
    assert_eq!(
        (stolen.status, &stolen.json()["code"]),
        (404, &json!("INVITATION_NOT_FOUND"))
    );
    assert_eq!(register("Bob@example.com", &token).await.status, 201);
    assert_eq!(register("bob@example.com", &token).await.status, 404);
    let bob = bearing(
        &app,
        text(&logged_in(&app, "bob@example.com").await, "access_token"),
    );
    let mine = bob.get("/api/v1/organizations").await.json();
    assert_eq!(mine["items"][0]["role"], "operator");
    assert_eq!(mine["items"][0]["name"], "Tenant");
    assert_eq!(
        invite("bob@example.com").await.json()["code"],
        "MEMBER_EXISTS"
    );

    // Revoked, replaced by a later one, too old.
    let carol = invite("carol@example.com").await.json();
    let revoked = mailed(&app, "carol@example.com", "invitation").await;
    let id = text(&carol, "id");
    assert_eq!(
        owner
            .delete(&format!("/api/v1/invitations/{id}"))
            .await
            .status,
        204
    );
    assert_eq!(
        owner
            .delete(&format!("/api/v1/invitations/{id}"))
            .await
            .status,
        404
    );
    assert_eq!(register("carol@example.com", &revoked).await.status, 404);
    invite("carol@example.com").await;
    let replaced = mailed(&app, "carol@example.com", "invitation").await;
    invite("carol@example.com").await;
    let newest = mailed(&app, "carol@example.com", "invitation").await;
    assert_eq!(register("carol@example.com", &replaced).await.status, 404);
    let open = app.client.get("/api/v1/invitations").await.json();
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
    app.advance(7 * 86_400);
    assert_eq!(register("carol@example.com", &newest).await.status, 404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_invited_goes_with_the_role() {
    let app = TestApp::by_hand().await;
    let (_, owner) = member(&app, &app.tenant, "owner@example.com", Role::Owner).await;
    let (admin_id, admin) = member(&app, &app.tenant, "admin@example.com", Role::Admin).await;
    let body = json!({"email": "other@example.com", "role": "admin"});
    assert_eq!(admin.post("/api/v1/invitations", &body).await.status, 201);
    let token = mailed(&app, "other@example.com", "invitation").await;
    assert_eq!(remove(&owner, &admin_id).await.0, 204);
    let body = json!({"email": "other@example.com", "password": PASSWORD, "name": "E", "invitation": token});
    assert_eq!(post(&app, "/api/v1/auth/register", body).await.status, 404);
    // Who is removed is out everywhere within two seconds.
    let ask = || async { admin.get("/api/v1/calls").await };
    let refused = wait_for("the refusal", ask, |reply| reply.status != 200).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (404, &json!("ORGANIZATION_NOT_FOUND"))
    );
    app.stop().await;
}

/// The tenant invites somebody as a viewer; the secret in the mail.
async fn invited(app: &TestApp, email: &str) -> String {
    let invitation = json!({"email": email, "role": "viewer"});
    let reply = app.client.post("/api/v1/invitations", &invitation).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    mailed(app, email, "invitation").await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_belongs_to_several_organizations_names_the_one_that_is_meant() {
    let app = TestApp::by_hand().await;
    registered(&app, "person@example.com").await;
    let token = invited(&app, "person@example.com").await;
    registered(&app, "other@example.com").await;
    let eve = bearing(
        &app,
        text(&logged_in(&app, "other@example.com").await, "access_token"),
    );
    let accept = json!({"token": token});
    assert_eq!(
        eve.post("/api/v1/invitations/accept", &accept).await.status,
        404
    );
    let person = bearing(
        &app,
        text(&logged_in(&app, "person@example.com").await, "access_token"),
    );
    let accepted = person.post("/api/v1/invitations/accept", &accept).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    let tenant = app.tenant.organization_id.to_string();
    assert_eq!(
        accepted.json(),
        json!({"organization_id": tenant, "role": "viewer"})
    );

    let unnamed = person.get("/api/v1/members").await;
    assert_eq!(
        (unnamed.status, &unnamed.json()["code"]),
        (400, &json!("INVALID_REQUEST"))
    );
    let named = |client: &TestClient, id: &str| {
        let (client, id) = (client.clone(), id.to_owned());
        async move {
            let headers = [("x-organization-id", id.as_str())];
            client
                .send(Method::GET, "/api/v1/members", &headers, "")
                .await
        }
    };
    let members = named(&person, &tenant).await.json();
    assert_eq!(members["items"][0]["email"], "person@example.com");
    assert_eq!(members["items"][0]["role"], "viewer");
    // Another's organisation is an unknown one.
    let unknown = "0f0e0d0c-0b0a-4908-8706-050403020100";
    let foreign = named(&person, &app.stranger.organization_id.to_string()).await;
    assert_eq!(foreign.status, 404);
    assert_eq!(bytes(&foreign), bytes(&named(&person, unknown).await));
    assert_eq!(bytes(&foreign), bytes(&named(&person, "no-id").await));
    // A program's token names its own; the header is for people.
    assert_eq!(named(&app.client, unknown).await.status, 200);

    let body =
        json!({"email": "person@example.com", "password": PASSWORD, "organization_id": tenant});
    let claimed = post(&app, "/api/v1/auth/login", body).await.json();
    let claimed = bearing(&app, text(&claimed, "access_token"));
    assert_eq!(claimed.get("/api/v1/members").await.status, 200);
    let path = format!("/api/v1/organizations/{tenant}");
    assert_eq!(claimed.get(&path).await.json()["name"], "Tenant");
    assert_eq!(
        claimed
            .get(&format!("/api/v1/organizations/{unknown}"))
            .await
            .status,
        404
    );

    // Leaving needs nobody's leave.
    let person = text(&logged_in(&app, "person@example.com").await, "person_id").to_owned();
    let left = claimed.delete(&self::path(&person)).await;
    assert_eq!(left.status, 204, "{}", left.text);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_invitations_of_others_are_unknown_ones() {
    let app = TestApp::by_hand().await;
    let (theirs, _) = member(&app, &app.stranger, "bob@example.com", Role::Viewer).await;
    let (_, owner) = member(&app, &app.tenant, "owner@example.com", Role::Owner).await;
    let stranger = app.client.with_token(Some(&app.stranger.token));
    let body = json!({"email": "carol@example.com", "role": "viewer"});
    let invitation = stranger.post("/api/v1/invitations", &body).await.json();
    let invitation = text(&invitation, "id").to_owned();
    let unknown = "0f0e0d0c-0b0a-4908-8706-050403020100";
    let body = json!({"role": "viewer"});
    for (id, at) in [
        (&theirs, "/api/v1/members/"),
        (&invitation, "/api/v1/invitations/"),
    ] {
        let foreign = owner.delete(&format!("{at}{id}")).await;
        let none = owner.delete(&format!("{at}{unknown}")).await;
        assert_eq!(foreign.status, 404, "{}", foreign.text);
        let (status, text) = bytes(&foreign);
        assert_eq!((status, text.replace(id, unknown)), bytes(&none));
    }
    let foreign = patch(&owner, &path(&theirs), &body).await;
    let (status, text) = bytes(&foreign);
    let none = patch(&owner, &path(unknown), &body).await;
    assert_eq!((status, text.replace(&theirs, unknown)), bytes(&none));
    let list =
        owner.get("/api/v1/members").await.text + &owner.get("/api/v1/invitations").await.text;
    assert!(!list.contains("bob@") && !list.contains("carol@"), "{list}");
    assert_eq!(login(&app, "bob@example.com", PASSWORD).await.status, 200);
    app.stop().await;
}

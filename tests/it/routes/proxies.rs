//! Behind a proxy: whose address counts. The test is the proxy, at 127.0.0.1.

use onhook::boot::Node;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
};

/// A node that believes 127.0.0.1 and 10.0.0.0/8.
async fn behind_a_proxy(app: &TestApp) -> Node {
    let trusted = [("ONHOOK_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")];
    app.node_with(&trusted).await
}

fn client(node: &Node, token: Option<&str>) -> TestClient {
    TestClient::new(&format!("http://{}", node.address), token)
}

async fn relayed(client: &TestClient, path: &str, said: &str, body: Option<&Value>) -> Reply {
    let headers = [
        ("x-forwarded-for", said),
        ("forwarded", "for=192.0.2.99"),
        ("content-type", "application/json"),
    ];
    match body {
        None => client.send(Method::GET, path, &headers[..2], "").await,
        Some(body) => {
            let body = body.to_string();
            client.send(Method::POST, path, &headers, &body).await
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_held_against_the_client_that_a_trusted_proxy_names() {
    let app = TestApp::by_hand().await;
    let node = behind_a_proxy(&app).await;
    let new = json!({"name": "office", "scopes": ["agents:read", "agents:write", "audit:read"],
        "source_addresses": ["203.0.113.0/24", "2001:db8::/32"]});
    let made = app.client.post("/api/v1/tokens", &new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let token = made.json()["token"].as_str().expect("a token").to_owned();
    let (behind, beside) = (client(&node, Some(&token)), client(&app.node, Some(&token)));
    for (said, status) in [
        ("203.0.113.7", 200),
        ("203.0.113.7, 10.1.2.3", 200),
        ("198.51.100.1, 203.0.113.7:4711", 200),
        ("[2001:db8::7]:4711", 200),
        ("::ffff:203.0.113.7", 200),
        // Made up by the client: the proxy added the address on the right.
        ("203.0.113.7, 198.51.100.1", 401),
        ("203.0.113.7, nonsense", 401),
        ("", 401),
    ] {
        let reply = relayed(&behind, "/api/v1/agents", said, None).await;
        assert_eq!(reply.status, status, "{said}: {}", reply.text);
        let reply = relayed(&beside, "/api/v1/agents", said, None).await;
        assert_eq!(reply.status, 401, "nobody is trusted here: {said}");
    }

    let agent = json!({"name": "Made behind a proxy"});
    let made = relayed(&behind, "/api/v1/agents", "203.0.113.7", Some(&agent)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let log = relayed(
        &behind,
        "/api/v1/audit?action=agent.create",
        "203.0.113.7",
        None,
    )
    .await;
    assert_eq!(
        log.json()["items"][0]["address"],
        "203.0.113.7",
        "{}",
        log.text
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_slowed_down_for_the_client_and_not_for_its_proxy() {
    let app = TestApp::by_hand().await;
    let node = behind_a_proxy(&app).await;
    let (behind, beside) = (client(&node, None), client(&app.node, None));
    let guess = async |client: &TestClient, said: &str| {
        let shown = json!({"email": "person@example.com", "password": "wrong horse battery"});
        relayed(client, "/api/v1/auth/login", said, Some(&shown)).await
    };
    for number in 0..10 {
        // Whatever a guesser writes in front, it is one client.
        let said = format!("192.0.2.{number}, 203.0.113.7");
        assert_eq!(guess(&behind, &said).await.status, 401);
    }
    assert_eq!(guess(&behind, "203.0.113.7").await.status, 429);
    assert_eq!(guess(&behind, "203.0.113.8").await.status, 401);
    // Where nobody is trusted, every guess is 127.0.0.1's.
    for number in 0..10 {
        let said = format!("192.0.2.{number}");
        assert_eq!(guess(&beside, &said).await.status, 401);
    }
    assert_eq!(guess(&beside, "192.0.2.200").await.status, 429);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_one_account_from_many_addresses_are_slowed_down_together() {
    let app = TestApp::by_hand().await;
    let node = behind_a_proxy(&app).await;
    let client = client(&node, None);
    let guess = async |email: &str, said: String| {
        let shown = json!({"email": email, "password": "wrong horse battery"});
        relayed(&client, "/api/v1/auth/login", &said, Some(&shown)).await
    };
    for number in 0..100 {
        let said = format!("203.0.113.{}", number % 20);
        let reply = guess("person@example.com", said).await;
        assert_eq!(reply.status, 401, "{number}: {}", reply.text);
    }
    let slowed = guess("person@example.com", "198.51.100.7".to_owned()).await;
    assert_eq!(
        (slowed.status, slowed.header("retry-after")),
        (429, Some("60"))
    );
    let other = guess("bob@example.com", "198.51.100.7".to_owned()).await;
    assert_eq!(other.status, 401, "{}", other.text);
    app.stop().await;
}

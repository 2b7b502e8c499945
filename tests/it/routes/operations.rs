//! What operators look at, what every answer carries.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::steps::sid;
use crate::support::{
    app::TestApp,
    client::{Reply, TestClient},
    wait::wait_for,
};

fn operator(app: &TestApp) -> TestClient {
    TestClient::new(&format!("http://{}", app.node.operator_address), None)
}

/// The sum of every sample of a metric.
fn sum(metrics: &str, name: &str) -> f64 {
    metrics
        .lines()
        .filter(|line| line.starts_with(&format!("{name}{{")))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Places and ends calls, and waits for the provider's last report on each.
async fn end_calls(app: &TestApp, calls: usize) {
    let mut placed = Vec::new();
    for _ in 0..calls {
        placed.push(app.place().await);
    }
    let last_report = |call: &serde_json::Value| {
        let callbacks = call["callbacks"].as_array().expect("callbacks");
        callbacks
            .iter()
            .any(|report| report["event"] == "completed")
    };
    for id in &placed {
        app.wait_for_status(id, "in-progress").await;
        let path = format!("/api/v1/calls/{id}/terminate");
        let ended = app.client.post_nothing(&path).await;
        assert_eq!(ended.status, 200, "{}", ended.text);
        app.wait_for_status(id, "completed").await;
        wait_for("the last report", || app.at_provider(id), last_report).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_the_operators_alone_count_every_end_once_and_name_nobody() {
    let app = TestApp::running().await;
    end_calls(&app, 8).await;
    // Methods and paths that anybody can think up make no series of their own.
    for number in 0..20 {
        let method = Method::from_bytes(format!("M{number}").as_bytes()).expect("a method");
        let reply = app.client.send(method, "/api/v1/calls", &[], "").await;
        assert_eq!(reply.status, 405);
        app.client
            .get(&format!("/nowhere/{number}?to=%2B15550101"))
            .await;
    }

    // A request may be answered a moment before its end is counted.
    let read = || async { operator(&app).get("/metrics").await };
    let ends = |metrics: &Reply| sum(&metrics.text, "onhook_call_end_seconds_count");
    let metrics = wait_for("eight ends", read, |metrics| ends(metrics) >= 8.0).await;
    assert_eq!(metrics.status, 200);
    let kind = metrics.header("content-type").expect("a type");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(metrics.text.ends_with("# EOF\n"));
    assert!(ends(&metrics) < 9.0, "8 ends are: {}", metrics.text);
    for series in [
        r#"onhook_call_end_seconds_bucket{le="+Inf",provider="twilio""#,
        r#"onhook_provider_request_seconds_count{provider="twilio",operation="hang_up",outcome="ended"}"#,
        r#"onhook_http_request_seconds_count{method="POST",route="/api/v1/calls/{call_sid}/terminate",status="200"} 8"#,
        r#"onhook_http_request_seconds_count{method="other",route="/api/v1/calls",status="405"} 20"#,
        r#"onhook_http_request_seconds_count{method="GET",route="unmatched",status="404"} 20"#,
        "onhook_jobs_open ",
        "onhook_database_connections{",
    ] {
        assert!(
            metrics.text.contains(series),
            "{series} is not in: {}",
            metrics.text
        );
    }
    let tenant = &app.tenant;
    for secret in [
        "+1555",
        "1555010",
        "ohk_",
        "whsec_",
        "nowhere",
        "M19",
        &tenant.account_sid,
        &tenant.auth_token,
        &tenant.webhook_secret,
        &tenant.organization_id.to_string(),
    ] {
        assert!(
            !metrics.text.contains(secret),
            "{secret} is in: {}",
            metrics.text
        );
    }

    let public = app.client.get("/metrics").await;
    assert_eq!(
        (public.status, &public.json()["code"]),
        (404, &json!("ROUTE_NOT_FOUND"))
    );
    for path in ["/api/v1/calls", "/docs", "/nothing"] {
        assert_eq!(operator(&app).get(path).await.status, 404, "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_life_from_readiness_on_both_listeners() {
    let app = TestApp::by_hand().await;
    let nobody = app.client.with_token(None);
    let ready = (
        200,
        r#"{"database":"ok","provider_accounts_refused":0,"status":"ready"}"#,
    );
    for client in [&nobody, &operator(&app)] {
        let alive = client.get("/healthz").await;
        assert_eq!(
            (alive.status, alive.text.as_str()),
            (200, r#"{"status":"ok"}"#)
        );
        let reply = client.get("/readyz").await;
        assert_eq!((reply.status, reply.text.as_str()), ready);
    }

    app.app.drain();
    for client in [&nobody, &operator(&app)] {
        let reply = client.get("/readyz").await;
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (
                503,
                r#"{"database":"ok","provider_accounts_refused":0,"status":"draining"}"#
            )
        );
    }

    app.app.db.close().await;
    for client in [&nobody, &operator(&app)] {
        assert_eq!(client.get("/healthz").await.status, 200);
        assert_eq!(
            client.get("/readyz").await.json()["database"],
            "unavailable"
        );
    }
    // Nothing can be done, and every family of routes says so in its own style.
    let agent = app.tenant.agent_id;
    for (method, path, style) in [
        (Method::GET, "/api/v1/calls".to_owned(), "detail"),
        (
            Method::POST,
            "/api/v1/calls/x/terminate".to_owned(),
            "detail",
        ),
        (
            Method::POST,
            format!("/api/v1/agents/{agent}/end-call"),
            "message",
        ),
    ] {
        let reply = app.client.send(method, &path, &[], "{}").await;
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("1")),
            "{path}"
        );
        let text = "The database does not answer in time and nothing was changed; try again";
        assert_eq!(reply.json()[style], text, "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_a_request_id_of_ours() {
    let app = TestApp::by_hand().await;
    let id = app.place().await;
    sid(&app, &id).await;
    let large = "x".repeat(300 * 1024);
    let terminate = format!("/api/v1/calls/{id}/terminate");
    let get = format!("/api/v1/calls/{id}");
    let mut seen = BTreeSet::new();
    for (method, path, body, status) in [
        (Method::GET, get.as_str(), "", 200),
        (Method::HEAD, &get, "", 200),
        (Method::GET, "/nothing", "", 404),
        (Method::GET, "/api/v1/calls/nothing", "", 404),
        (Method::PUT, &get, "", 405),
        (Method::OPTIONS, "/api/v1/calls", "", 405),
        (Method::POST, "/api/v1/calls", "{", 400),
        (Method::POST, "/api/v1/calls", "{}", 422),
        (Method::POST, "/api/v1/calls", &large, 413),
        (Method::POST, &terminate, &large, 413),
        (Method::GET, "/docs/", "", 200),
        (Method::GET, "/docs/openapi.json", "", 200),
        (Method::GET, "/healthz", "", 200),
        (Method::POST, &terminate, "", 200),
    ] {
        let headers = [("x-request-id", "from-the-client")];
        let reply = app.client.send(method.clone(), path, &headers, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
        let request_id = reply.header("x-request-id").expect("a request id");
        let random = request_id.strip_prefix("req_").expect("our prefix");
        assert_eq!(random.len(), 32, "{request_id}");
        if reply.header("content-type") == Some("application/problem+json") {
            assert_eq!(reply.json()["request_id"], request_id);
        }
        assert!(
            seen.insert(request_id.to_owned()),
            "{request_id} came twice"
        );
    }
    let unauthenticated = app.client.with_token(None).get(&get).await;
    assert_eq!(unauthenticated.status, 401);
    assert!(unauthenticated.header("x-request-id").is_some());
    app.stop().await;
}

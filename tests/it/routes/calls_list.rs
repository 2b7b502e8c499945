//! `GET /api/v1/calls` and its count: order, pages, filters.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use onhook::domain::token::{Environment, Scope};
use serde_json::{Value, json};

use super::steps::{START, ended_calls, far_end, is_refused, nobody_acts};
use crate::support::{app::TestApp, client::TestClient, wait::wait_for};

const CALLS: usize = 25;

/// Calls that ring nowhere yet, two at each second; the oldest first.
async fn place_many(app: &TestApp) -> Vec<String> {
    nobody_acts(app).await;
    let mut placed = Vec::new();
    for number in 0..CALLS {
        let body = json!({
            "agent_id": app.tenant.agent_id,
            "to": format!("+155501{:02}", number % 10),
            "metadata": {"parity": if number % 2 == 0 { "even" } else { "odd" }, "number": number},
        });
        let reply = app.client.post("/api/v1/calls", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let id = reply.json()["id"].as_str().expect("an id").to_owned();
        // A dial that waits while the clock is moved counts as late, and is not sent.
        let named = |call: &Value| call["call_sid"] != id.as_str();
        wait_for("the dial", || app.call(&id), named).await;
        placed.push(id);
        if number % 2 == 1 {
            app.advance(1);
        }
    }
    placed
}

async fn list(client: &TestClient, query: &str) -> Value {
    let reply = client.get(&format!("/api/v1/calls{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    reply.json()
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items").iter();
    items
        .map(|call| call["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_call_once_and_the_newest_first() {
    let app = TestApp::by_hand().await;
    let mut placed = place_many(&app).await;
    let whole = list(&app.client, "").await;
    assert_eq!(whole["has_more"], false);
    assert_eq!(whole["next_cursor"], json!(null));
    assert_eq!(whole["as_of"], "2026-11-21T09:30:12.000Z");
    assert!(whole.get("total").is_none(), "only when it is asked for");
    let order = ids(&whole);
    let times: Vec<&str> = whole["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|call| call["created_at"].as_str().expect("a time"))
        .collect();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
    let mut sorted = order.clone();
    sorted.sort();
    placed.sort();
    assert_eq!(sorted, placed);

    // By cursor, while new calls come in.
    for filter in ["", "status=ongoing&", "status=initiating&status=ringing&"] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        for (page, expected) in [(1, 10), (2, 10), (3, 5)] {
            let query = format!("?{filter}limit=10{cursor}");
            let list = list(&app.client, &query).await;
            assert_eq!(ids(&list).len(), expected, "page {page}");
            assert_eq!(list["has_more"], page < 3);
            seen.extend(ids(&list));
            if let Some(next) = list["next_cursor"].as_str() {
                cursor = format!("&cursor={next}");
            }
            assert_eq!(list["next_cursor"].is_string(), page < 3);
        }
        assert_eq!(seen, order, "{filter}");
    }

    // By number.
    let skipped = list(&app.client, "?skip=20&limit=10").await;
    assert_eq!(ids(&skipped), order[20..]);
    assert_eq!(skipped["total"], CALLS);
    let past = list(&app.client, "?skip=9223372036854775807").await;
    assert_eq!((ids(&past).len(), &past["total"]), (0, &json!(CALLS)));
    let one = list(&app.client, "?limit=1&include=total").await;
    assert_eq!(ids(&one), order[..1]);
    assert_eq!(
        (&one["total"], &one["has_more"]),
        (&json!(CALLS), &json!(true))
    );
    assert_eq!(ids(&list(&app.client, "?limit=1000").await).len(), CALLS);
    app.stop().await;
}

/// A list reads and writes calls in a way of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_listed_byte_for_byte_as_it_is_shown() {
    let app = TestApp::by_hand().await;
    let mut placed: Vec<String> = ended_calls(&app)
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let (ended, talking) = (app.place().await, app.place().await);
    for id in [&ended, &talking] {
        far_end(&app, id, "answer").await;
        app.wait_for_status(id, "in-progress").await;
    }
    app.advance(61);
    let wish = json!({"reason": "ended_by_api", "note": "a \"quoted\" note\n"});
    let path = format!("/api/v1/calls/{ended}/end");
    let reply = app.client.post(&path, &wish).await;
    assert!(reply.status < 300, "{}", reply.text);
    app.wait_for_status(&ended, "completed").await;
    placed.extend([ended, talking, app.place().await]);
    let body = json!({
        "agent_id": app.tenant.agent_id, "to": "+15550101",
        "client_reference": "a \"quoted\" \\ é\u{1}", "metadata": {"é": [1.50, null, "\u{1}"]},
    });
    let named = app.client.post("/api/v1/calls", &body).await;
    assert_eq!(named.status, 201, "{}", named.text);
    placed.push(named.json()["id"].as_str().expect("an id").to_owned());

    // A dial that is under way would change its call between the two answers.
    for id in &placed {
        let named = |call: &Value| call["call_sid"] != id.as_str();
        wait_for("the dial", || app.call(id), named).await;
    }
    let listed = app.client.get("/api/v1/calls").await.text;
    let mut shown = Vec::new();
    for id in &placed {
        shown.push(app.client.get(&format!("/api/v1/calls/{id}")).await.text);
    }
    for call in shown {
        assert!(listed.contains(&call), "{call}\nis not in\n{listed}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say_and_counts_agree() {
    let app = TestApp::by_hand().await;
    let placed = place_many(&app).await;
    for id in &placed[..3] {
        let ended = app
            .client
            .post_nothing(&format!("/api/v1/calls/{id}/end"))
            .await;
        assert!(ended.status < 300, "{}", ended.text);
        app.wait_for_status(id, "canceled").await;
    }
    let agent = app.tenant.agent_id;
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (query, expected) in [
        ("status=ongoing", 22),
        ("status=initiating", 22),
        ("status=canceled", 3),
        ("status=canceled&status=initiating", 25),
        ("status=busy&status=failed", 0),
        ("ended_reason=ended_by_api", 3),
        ("ended_reason=remote_hangup", 0),
        ("direction=outbound", 25),
        ("direction=inbound", 0),
        ("provider=twilio", 25),
        ("to=%2B15550103", 3),
        ("from=%2B15550100", 25),
        ("from=%2B15550101", 0),
        ("metadata[parity]=odd", 12),
        ("metadata%5Bparity%5D=odd", 12),
        ("metadata[parity]=odd&metadata[number]=3", 1),
        ("metadata[parity]=", 0),
        ("metadata[nothing]=odd", 0),
        ("created_after=2026-11-21T09:30:11Z", 1),
        ("created_before=2026-11-21T09:30:01Z", 2),
        (
            "created_after=2026-11-21T10:30:00%2B01:00&created_before=2026-11-21T09:30:02Z",
            2,
        ),
        (&format!("agent_id={agent}"), 25),
        (&format!("agent_id={nobody}"), 0),
        (&format!("agent_id={}", app.stranger.agent_id), 0),
    ] {
        let found = list(&app.client, &format!("?include=total&{query}")).await;
        assert_eq!(found["total"], expected, "{query}");
        assert_eq!(ids(&found).len(), expected, "{query}");
        let count = app
            .client
            .get(&format!("/api/v1/calls/count?{query}"))
            .await;
        assert_eq!(count.text, format!(r#"{{"count":{expected}}}"#), "{query}");
    }
    let by_status = app.client.get("/api/v1/calls/count?group_by=status").await;
    assert_eq!(
        by_status.text,
        r#"{"by_status":{"canceled":3,"initiating":22},"count":25}"#
    );

    // Who may see less, is shown less.
    let stranger = app.client.with_token(Some(&app.stranger.token));
    assert_eq!(ids(&list(&stranger, "").await).len(), 0);
    for (agent, expected) in [(agent, 25), (app.stranger.agent_id, 0)] {
        let token = app
            .token(Environment::Live, &[Scope::CallsRead], Some(vec![agent]))
            .await;
        let restricted = app.client.with_token(Some(&token));
        assert_eq!(ids(&list(&restricted, "").await).len(), expected);
        let count = restricted.get("/api/v1/calls/count").await;
        assert_eq!(count.json()["count"], expected);
    }
    app.stop().await;
}

/// Queries that are no list's, and the parameter that is to blame.
const REFUSED: [(&str, &str); 27] = [
    ("limit=0", "limit"),
    ("limit=10000", "limit"),
    ("limit=-1", "limit"),
    ("limit=ten", "limit"),
    ("limit=99999999999999999999", "limit"),
    ("limit=1&limit=2", "limit"),
    ("skip=-1", "skip"),
    ("include=everything", "include"),
    ("status=unknown", "status"),
    ("status=ongoing&status=busy", "status"),
    ("status=", "status"),
    ("stauts=busy", "stauts"),
    ("group_by=status", "group_by"),
    ("agent_id=agent-uuid", "agent_id"),
    ("direction=up", "direction"),
    ("provider=acme", "provider"),
    ("to=+15550101", "to"),
    ("from=me", "from"),
    ("created_after=yesterday", "created_after"),
    ("created_before=2026-11-21", "created_before"),
    ("ended_reason=boredom", "ended_reason"),
    ("metadata=x", "metadata"),
    ("metadata[]=x", "metadata[]"),
    ("metadata[a]=%00", "metadata[a]"),
    ("metadata[a%00]=x", "metadata[a\u{fffd}]"),
    ("metadata[a]=%FF", "metadata[a]"),
    ("metadata[%FF]=a", "metadata[\u{fffd}]"),
];

/// The cursor with another instant, one that no database can hold.
fn of_the_year_minus_9000(cursor: &str) -> String {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).expect("base64");
    bytes.splice(4..12, (-346_000_000_000_000_i64).to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_filter_or_page_is_refused_by_name() {
    let app = TestApp::by_hand().await;
    nobody_acts(&app).await;
    for _ in 0..2 {
        app.place().await;
    }
    let first = list(&app.client, "?limit=1").await;
    let cursor = first["next_cursor"].as_str().expect("a cursor").to_owned();
    assert_eq!(
        ids(&list(&app.client, &format!("?cursor={cursor}")).await).len(),
        1
    );
    let with_skip = format!("skip=1&cursor={cursor}");
    let refused = |query: &str| {
        let (client, path) = (app.client.clone(), format!("/api/v1/calls?{query}"));
        async move { client.get(&path).await }
    };
    for (query, pointer) in REFUSED.into_iter().chain([(with_skip.as_str(), "skip")]) {
        let reply = refused(query).await;
        is_refused(&reply, 422, "VALIDATION_FAILED");
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{query}");
    }
    for query in [
        format!("status=ongoing&cursor={cursor}"),
        format!("cursor={}", of_the_year_minus_9000(&cursor)),
        "cursor=AAAA".to_owned(),
        "cursor=".to_owned(),
    ] {
        is_refused(&refused(&query).await, 400, "CURSOR_INVALID");
    }
    for query in [
        "limit=1",
        "cursor=x",
        "skip=1",
        "include=total",
        "group_by=agent",
    ] {
        let reply = app
            .client
            .get(&format!("/api/v1/calls/count?{query}"))
            .await;
        assert_eq!(reply.status, 422, "{query}: {}", reply.text);
    }
    // Instants at the ends of what a client can write down.
    for time in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        list(&app.client, &format!("?created_after={time}")).await;
    }
    assert_eq!(
        list(&app.client, "?limit=2").await["items"][0]["created_at"],
        START
    );
    app.stop().await;
}

//! Telegram and gateways, which misbehave; and one call that everybody tells of alike.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::TestApp,
    bot_api::{Act, BotApi},
    client::Reply,
    event_source::EventSource,
    gateway::Gateway,
    wait::wait_for,
};

const BOT_TOKEN: &str = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const GATEWAY_TOKEN: &str = "the-gateways-own-token";

async fn create(app: &TestApp, body: &Value) -> Value {
    let reply = app.client.post("/api/v1/notices", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.json()
}

async fn telegram(app: &TestApp, bot: &BotApi) -> String {
    let body = json!({"telegram": {
        "bot_token": BOT_TOKEN, "chat_id": "-100123", "api_base_url": bot.url(),
    }});
    let notice = create(app, &body).await;
    assert!(!notice.to_string().contains(BOT_TOKEN), "{notice}");
    notice["id"].as_str().expect("an id").to_owned()
}

async fn end(app: &TestApp, id: &str) -> Reply {
    let ended = app
        .client
        .post_nothing(&format!("/api/v1/calls/{id}/end"))
        .await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    app.wait_for_status(id, "completed").await;
    ended
}

async fn rounds(app: &TestApp, count: usize) {
    for _ in 0..count {
        app.node.worker.deliver_due().await.expect("a round");
        app.advance(8);
    }
}

/// Whether any column of any table holds the text.
async fn is_in_the_database(app: &TestApp, text: &str) -> bool {
    let mut owner = app.database.as_owner().await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut owner)
            .await
            .expect("names");
    for table in tables {
        let found = sqlx::AssertSqlSafe(format!(
            "SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE '%' || $1 || '%')"
        ));
        let found: bool = sqlx::query_scalar(found)
            .bind(text)
            .fetch_one(&mut owner)
            .await
            .expect("an answer");
        if found {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_told_once_although_the_bot_api_cuts_and_asks_to_wait() {
    let app = TestApp::by_hand().await;
    let bot = BotApi::start(&app.ambient.tasks).await;
    let id = telegram(&app, &bot).await;
    let too_many = json!({"ok": false, "error_code": 429,
        "description": "Too Many Requests: retry after 30", "parameters": {"retry_after": 30}});
    let moved =
        json!({"ok": false, "error_code": 400, "parameters": {"migrate_to_chat_id": -1005}});
    bot.then([
        Act::Cut,
        Act::Answer(429, too_many),
        Act::Answer(400, moved),
    ]);

    let call = app.place_answered().await;
    end(&app, &call).await;
    rounds(&app, 2).await;
    // The end waits for the start, and the start for as long as it was told.
    assert_eq!((bot.asked().len(), bot.taken().len()), (2, 0));
    app.advance(12);
    rounds(&app, 1).await;
    assert_eq!(bot.asked().len(), 2, "not before 30 s have passed");
    app.advance(30);
    rounds(&app, 4).await;

    let taken = bot.taken();
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(
        taken[0].starts_with(&format!("<b>Call started</b>\nCall: {call}")),
        "{taken:?}"
    );
    assert!(
        taken[1].contains("Outcome: completed\nSummary: ended_by_api by token:"),
        "{taken:?}"
    );
    let asked = bot.asked();
    assert_eq!(asked[0].path, format!("/bot{BOT_TOKEN}/sendMessage"));
    assert_eq!(
        asked.last().map(|asked| &asked.body["chat_id"]),
        Some(&json!("-1005"))
    );
    // Its own log, without the token.
    let log = app
        .client
        .get(&format!("/api/v1/notices/{id}/deliveries"))
        .await;
    assert_eq!(
        log.json()["items"].as_array().map(Vec::len),
        Some(2),
        "{}",
        log.text
    );
    let event = log.json()["items"][1]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let path = format!("/api/v1/notices/{id}/deliveries/{event}");
    let delivery = app.client.get(&path).await;
    let attempts = delivery.json()["attempt_log"]
        .as_array()
        .cloned()
        .expect("attempts");
    let statuses: Vec<&Value> = attempts.iter().map(|a| &a["response"]["status"]).collect();
    assert_eq!(
        json!(statuses),
        json!([null, 429, 400, 200]),
        "{}",
        delivery.text
    );
    assert!(!delivery.text.contains("AAHdqTcv") && !log.text.contains("AAHdqTcv"));
    assert!(!is_in_the_database(&app, "AAHdqTcv").await);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_was_blocked_is_not_asked_again_until_its_notice_is_enabled() {
    let app = TestApp::by_hand().await;
    let bot = BotApi::start(&app.ambient.tasks).await;
    let id = telegram(&app, &bot).await;
    let blocked = json!({"ok": false, "error_code": 403,
        "description": "Forbidden: bot was blocked by the user"});
    bot.then([Act::Answer(403, blocked)]);
    let call = app.place_answered().await;
    rounds(&app, 2).await;

    let path = format!("/api/v1/notices/{id}");
    let notice = app.client.get(&path).await.json();
    assert_eq!(notice["enabled"], false, "{notice}");
    assert_eq!(
        notice["disabled_reason"],
        "The bot was blocked, or put out of the chat"
    );
    end(&app, &call).await;
    rounds(&app, 2).await;
    assert_eq!(bot.asked().len(), 1);
    let mut owner = app.database.as_owner().await;
    let told: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM audit_entries WHERE action = 'webhook_endpoint.disable' AND subject = $1),
            (SELECT count(*) FROM organization_events WHERE type = 'webhook_endpoint.disabled')",
    )
    .bind(&id)
    .fetch_one(&mut owner)
    .await
    .expect("counts");
    assert_eq!(told, (1, 1));

    let headers = [("content-type", "application/json")];
    let enabled = app
        .client
        .send(Method::PATCH, &path, &headers, r#"{"enabled":true}"#)
        .await;
    assert_eq!(enabled.json()["enabled"], true, "{}", enabled.text);
    let queued = app.client.post_nothing(&format!("{path}/test")).await;
    assert_eq!(queued.status, 202, "{}", queued.text);
    rounds(&app, 1).await;
    assert_eq!(bot.taken(), ["A test: notices of calls arrive here."]);
    assert_eq!(app.client.delete(&path).await.status, 204);
    assert_eq!(
        app.client.get(&path).await.json()["code"],
        "NOTICE_NOT_FOUND"
    );
    app.stop().await;
}

/// Both messages of each call, in order, and no more.
fn each_started_and_ended_once(taken: &[Value], calls: &[&String]) {
    for call in calls {
        let of_call: Vec<&Value> = taken
            .iter()
            .filter(|message| message["call_id"] == json!(call))
            .collect();
        let kinds: Vec<&Value> = of_call
            .iter()
            .map(|message| &message["message_type"])
            .collect();
        assert_eq!(
            json!(kinds),
            json!(["call_started", "call_ended"]),
            "{taken:?}"
        );
        assert_eq!(of_call[0]["to_number"], "+15550101");
        assert_eq!(of_call[1]["outcome"], "completed");
    }
    assert_eq!(
        taken.len(),
        2 * calls.len(),
        "what was answered is not told again: {taken:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_away_and_breaks_off_is_told_everything_in_order() {
    let app = TestApp::running().await;
    // Nobody listens there yet.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let body =
        json!({"gateway": {"url": format!("ws://{address}/agents"), "token": GATEWAY_TOKEN}});
    let id = create(&app, &body).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    // It may be held by either node.
    let other = app.node_with(&[]).await;
    let first = app.place_answered().await;
    end(&app, &first).await;

    let gateway = Gateway::default();
    gateway.cut(2);
    gateway.listen(&app.ambient.tasks, address).await;
    let second = app.place_answered().await;
    end(&app, &second).await;
    wait_for(
        "all to be told",
        || async { gateway.taken() },
        |taken| taken.len() >= 4,
    )
    .await;

    each_started_and_ended_once(&gateway.taken(), &[&first, &second]);
    let frames = gateway.frames();
    let unanswered = frames.iter().filter(|frame| !frame.answered).count();
    assert_eq!(unanswered, 2, "cut twice, and told again");
    assert!(
        frames
            .iter()
            .all(|frame| frame.frame["method"] == "sessions_send")
    );
    let beats = frames
        .iter()
        .filter(|f| f.frame["params"]["message"]["message_type"] == "heartbeat");
    assert!(beats.count() >= 1);
    let authorization = format!("authorization: Bearer {GATEWAY_TOKEN}");
    assert!(
        gateway
            .heads()
            .iter()
            .all(|head| head.contains(&authorization))
    );
    // An answer is recorded a moment after it came.
    let delivered = format!("/api/v1/notices/{id}/deliveries?state=delivered");
    wait_for(
        "the log",
        || async { app.client.get(&delivered).await.json() },
        |log| {
            log["items"]
                .as_array()
                .is_some_and(|items| items.len() == 4)
        },
    )
    .await;
    assert!(!is_in_the_database(&app, GATEWAY_TOKEN).await);
    drop(other);
    app.stop().await;
}

/// `why` tells of the call what the call says, and of its end what the event says.
async fn why_tells(app: &TestApp, call: &Value, webhook: &Value) {
    let id = call["id"].as_str().expect("an id");
    let why = app
        .client
        .get(&format!("/api/v1/calls/{id}/why"))
        .await
        .json();
    for member in ["status", "ended_at", "ended_reason", "duration_seconds"] {
        assert_eq!(why[member], call[member], "{member}");
    }
    let initiator = call["end"]["initiator"].as_str().expect("somebody");
    assert_eq!(why["initiator"], initiator);
    assert_eq!(
        why["steps"].as_array().and_then(|steps| {
            steps
                .iter()
                .find(|step| step["step"] == "ended")
                .map(|step| step["sequence"].clone())
        }),
        Some(webhook["sequence"].clone())
    );
}

/// The gateway and the chat tell of its end what the call says.
async fn gateway_and_chat_tell(gateway: &Gateway, bot: &BotApi, call: &Value) {
    let id = call["id"].as_str().expect("an id");
    let initiator = call["end"]["initiator"].as_str().expect("somebody");
    wait_for(
        "the gateway",
        || async { gateway.taken() },
        |taken| taken.len() == 2,
    )
    .await;
    let ended = gateway.taken().remove(1);
    assert_eq!(
        (&ended["call_id"], &ended["outcome"], &ended["timestamp"]),
        (&json!(id), &call["status"], &call["ended_at"])
    );
    let summary = format!("ended_by_api by {initiator}");
    assert_eq!(ended["summary"], summary);
    let at = |member: &str| -> i64 {
        let text = call[member].as_str().expect("a time");
        text.parse::<onhook::domain::Timestamp>()
            .expect("a time")
            .unix_millis()
    };
    let millis = i32::try_from(at("ended_at") - at("answered_at")).expect("a short call");
    let seconds = f64::from(millis) / 1000.0;
    assert!(
        (ended["duration"].as_f64().expect("a number") - seconds).abs() < 1e-9,
        "{ended}"
    );
    wait_for(
        "the chat",
        || async { bot.taken() },
        |taken| taken.len() == 2,
    )
    .await;
    let text = bot.taken().remove(1);
    assert_eq!(
        text,
        format!(
            "<b>Call ended</b>\nCall: {id}\nTo: +15550101\nDuration: {seconds:.1} s\n\
            Outcome: completed\nSummary: {summary}"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_ended_by_the_api_is_the_same_story_on_all_five_ways() {
    let app = TestApp::running().await;
    let bot = BotApi::start(&app.ambient.tasks).await;
    telegram(&app, &bot).await;
    let gateway = Gateway::default();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    gateway.listen(&app.ambient.tasks, address).await;
    create(
        &app,
        &json!({"gateway": {"url": format!("ws://{address}")}}),
    )
    .await;
    let mut source = EventSource::new(
        &app.tenant.token,
        "/api/v1/stream?type=event_phone_call_ended",
    );
    let mut stream = source.connect(app.node.address).await;

    let id = app.place_answered().await;
    end(&app, &id).await;

    let call = app.call(&id).await;
    // The stream, and with the same bytes the webhook.
    let streamed = stream.next(&mut source).await.expect("the end").data;
    let webhook = wait_for(
        "the webhook",
        || async {
            let received = app.receiver.received().into_iter();
            let mut bodies = received.map(|delivery| delivery.body);
            bodies.find(|body| body["type"] == "event_phone_call_ended")
        },
        Option::is_some,
    )
    .await
    .expect("a webhook");
    assert_eq!(streamed, webhook);
    let told = &webhook["data"]["call"];
    for member in [
        "id",
        "status",
        "ended_at",
        "ended_reason",
        "duration_seconds",
        "end",
    ] {
        assert_eq!(told[member], call[member], "{member}");
    }
    why_tells(&app, &call, &webhook).await;
    gateway_and_chat_tell(&gateway, &bot, &call).await;
    app.stop().await;
}

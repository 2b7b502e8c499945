//! The live stream: no gap, no repetition, in order, on whichever node and however often it is cut.

use std::{net::SocketAddr, time::Duration};

use onhook::domain::token::{Environment, Scope};
use reqwest::Method;
use serde_json::json;
use sqlx::Executor as _;

use crate::support::{
    app::{Tenant, TestApp},
    event_source::{Connection, EventSource, Message},
    wait::wait_for,
};

/// Facts that transactions write which commit in another order than they began, as calls do.
async fn write_facts(app: &TestApp, tenant: &Tenant, calls: usize, per_call: i64) {
    let mut owner = app.database.as_owner().await;
    for _ in 0..calls {
        let id = app.ambient.entropy.uuid();
        sqlx::query_scalar::<_, i32>(
            "INSERT INTO calls (organization_id, id, agent_id, provider, provider_account_id,
                provider_call_id, version, last_sequence, status, direction, from_number, to_number,
                test, max_duration_seconds, ring_timeout_seconds, dial_state, created_at, heard_at)
            VALUES ($1, $2, $3, 'twilio', $4, $2::text, 1, $5, 'in-progress', 'outbound',
                '+15550100', '+15550101', true, 3600, 60, 'placed', now(), now())
            RETURNING 1",
        )
        .bind(tenant.organization_id)
        .bind(id)
        .bind(tenant.agent_id)
        .bind(tenant.account_id)
        .bind(per_call)
        .fetch_one(&mut owner)
        .await
        .expect("a call");
        let half = per_call / 2;
        for (first, last) in [(1, half), (half + 1, per_call)] {
            // Committed some milliseconds after the transaction got its id.
            sqlx::query_scalar::<_, String>(
                "WITH written AS (
                    INSERT INTO call_facts (organization_id, call_id, sequence, type, from_status,
                        to_status, at, recorded_at, data)
                    SELECT $1, $2, n, 'event_phone_call_error', 'in-progress', 'in-progress', now(),
                        now(), jsonb_build_object('call', jsonb_build_object('agent_id', $3::uuid))
                    FROM generate_series($4::bigint, $5) n
                    RETURNING 1
                )
                SELECT pg_sleep(random() * 0.004)::text FROM (SELECT count(*) FROM written) w",
            )
            .bind(tenant.organization_id)
            .bind(id)
            .bind(tenant.agent_id)
            .bind(first)
            .bind(last)
            .fetch_one(&mut owner)
            .await
            .expect("facts");
        }
    }
}

/// The ids of the tenant's events in the order of their places.
async fn recorded(app: &TestApp, tenant: &Tenant) -> Vec<String> {
    let mut owner = app.database.as_owner().await;
    sqlx::query_scalar(
        "SELECT 'evt_' || replace(call_id::text, '-', '') || '_' || sequence FROM call_facts
        WHERE organization_id = $1 ORDER BY position, call_id, sequence",
    )
    .bind(tenant.organization_id)
    .fetch_all(&mut owner)
    .await
    .expect("facts")
}

fn ids(messages: &[Message]) -> Vec<String> {
    let id = |message: &Message| message.data["id"].as_str().unwrap_or_default().to_owned();
    messages.iter().map(id).collect()
}

/// Reads all events through connections that are cut at random, each to a node at random.
async fn read_through_cuts(
    app: &TestApp,
    nodes: &[SocketAddr],
    source: &mut EventSource,
    events: usize,
    cuts: usize,
) -> (Vec<Message>, usize) {
    let entropy = &app.ambient.entropy;
    // About 320 bytes each: some cuts more than are asked for.
    let most = 512 * events / cuts;
    let (mut seen, mut cut) = (Vec::new(), 0);
    while seen.len() < events || cut < cuts {
        let node = nodes[usize::from(entropy.bytes::<1>()[0]) % nodes.len()];
        let budget =
            usize::from(u16::from_be_bytes(entropy.bytes())) * most / usize::from(u16::MAX);
        let while_quiet = Duration::from_millis(u64::from(entropy.bytes::<1>()[0]) / 4);
        let mut connection = source.connect(node).await;
        while connection.bytes < budget {
            let more = connection.more(1 + (budget - connection.bytes).min(512));
            match tokio::time::timeout(while_quiet, more).await {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
        take_all(&mut connection, source, &mut seen);
        cut += 1;
    }
    (seen, cut)
}

fn take_all(connection: &mut Connection, source: &mut EventSource, seen: &mut Vec<Message>) {
    while let Some(message) = connection.take(source) {
        match message.kind.as_str() {
            "resume" => {}
            "reset" => panic!("nothing is too old: {message:?}"),
            _ => seen.push(message),
        }
    }
}

/// The story with so many cuts and events.
async fn each_event_once_and_in_order(cuts: usize, calls: usize, per_call: i64) {
    const WRITERS: usize = 4;
    let app = TestApp::looking_on().await;
    let other = app.node_with(&[]).await;
    let nodes = [app.node.address, other.address];
    let mut source = EventSource::new(&app.tenant.token, "/api/v1/stream");
    // From before the first event on.
    let mut opening = source.connect(nodes[0]).await;
    while source.last_id.is_none() {
        assert!(opening.more(256).await, "an opening");
        assert!(opening.take(&mut source).is_none(), "no events yet");
    }
    drop(opening);
    let events = calls * usize::try_from(per_call).expect("a number");

    let write = async |writer: usize| {
        let share = calls / WRITERS + usize::from(writer < calls % WRITERS);
        write_facts(&app, &app.tenant, share, per_call).await;
    };
    // Another organisation's events go on beside.
    let ((seen, cut), ..) = tokio::join!(
        read_through_cuts(&app, &nodes, &mut source, events, cuts),
        write(0),
        write(1),
        write(2),
        write(3),
        write_facts(&app, &app.stranger, 3, per_call),
    );

    assert!(cut >= cuts, "{cut}");
    let (seen, expected) = (ids(&seen), recorded(&app, &app.tenant).await);
    assert_eq!(expected.len(), events);
    assert!(seen == expected, "{} seen of {events}", seen.len());
    other.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_cut_a_hundred_times_sees_each_event_once_and_in_order_on_two_nodes() {
    Box::pin(each_event_once_and_in_order(100, 200, 10)).await;
}

/// `cargo test --test it -- --ignored a_client_that_is_cut_a_thousand_times`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; the same with a tenth of it runs always"]
async fn a_client_that_is_cut_a_thousand_times_sees_each_of_20_000_events_once_and_in_order() {
    Box::pin(each_event_once_and_in_order(1000, 2000, 10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_after_a_list_was_read_is_in_the_stream_that_goes_on_from_it() {
    let app = TestApp::by_hand().await;
    let other = app.node_with(&[]).await;
    for empty in [true, false] {
        let list = app.client.get("/api/v1/calls?status=ongoing").await.json();
        assert_eq!(list["items"] == json!([]), empty, "{list}");
        let cursor = list["stream_cursor"].as_str().expect("a cursor");
        let id = app.place_answered().await;

        // Of the node that did not take the call, and in the envelope of webhooks.
        let target = format!("/api/v1/stream?after={cursor}");
        let mut source = EventSource::new(&app.tenant.token, &target);
        let mut stream = source.connect(other.address).await;
        let messages = stream.several(&mut source, 3).await;
        let kinds: Vec<&str> = messages
            .iter()
            .map(|message| message.kind.as_str())
            .collect();
        assert_eq!(
            kinds,
            [
                "event_phone_call_started",
                "event_phone_call_ringing",
                "event_phone_call_connected"
            ]
        );
        for (sequence, message) in (1..).zip(&messages) {
            assert_eq!(message.data["type"], message.kind.as_str());
            assert_eq!(message.data["sequence"], sequence);
            assert_eq!(message.data["call_id"], json!(id));
            assert_eq!(message.data["agent_id"], json!(app.tenant.agent_id));
        }
        assert_eq!(messages[2].data["data"]["call"], app.call(&id).await);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_the_tokens_agents_let_through_what_they_say() {
    let app = TestApp::by_hand().await;
    let restricted = |agent| app.token(Environment::Live, &[Scope::CallsRead], Some(vec![agent]));
    let (own, foreign) = (
        restricted(app.tenant.agent_id).await,
        restricted(app.stranger.agent_id).await,
    );
    let list = app.client.get("/api/v1/calls").await.json();
    let cursor = list["stream_cursor"].as_str().expect("a cursor");
    app.place_answered().await;
    // What a transaction of any database may still come before is told later.
    let path = format!("/api/v1/stream?timeout=0&after={cursor}");
    let told = || async {
        app.client
            .get(&path)
            .await
            .text
            .matches("\nevent: event_")
            .count()
    };
    wait_for("the events", told, |count| *count == 3).await;
    let all = &app.tenant.token;
    let (agent, nobody) = (app.tenant.agent_id, app.stranger.agent_id);
    for (token, filter, count) in [
        (all, String::new(), 3),
        (&own, String::new(), 3),
        (&foreign, String::new(), 0),
        (&app.stranger.token, String::new(), 0),
        (all, format!("&agent_id={agent}"), 3),
        (all, format!("&agent_id={nobody}"), 0),
        (all, format!("&agent_id={nobody}&agent_id={agent}"), 3),
        (&foreign, format!("&agent_id={agent}"), 0),
        (all, "&type=event_phone_call_ringing".to_owned(), 1),
        (all, "&type=event_phone_call_ended".to_owned(), 0),
    ] {
        let path = format!("/api/v1/stream?timeout=0&after={cursor}{filter}");
        let stream = app.client.with_token(Some(token)).get(&path).await;
        assert_eq!(stream.status, 200, "{}", stream.text);
        let events = stream.text.matches("\nevent: event_").count();
        assert_eq!(events, count, "{filter}: {}", stream.text);
        assert!(
            stream
                .text
                .ends_with("event: resume\ndata: {\"reason\":\"timeout\"}\n\n")
        );
    }
    for (query, code) in [
        ("after=x", "CURSOR_INVALID"),
        ("agent_id=x", "VALIDATION_FAILED"),
        ("type=event_phone_call_lost", "VALIDATION_FAILED"),
        ("heartbeat=0", "VALIDATION_FAILED"),
        ("heartbeat=61", "VALIDATION_FAILED"),
        ("timeout=3601", "VALIDATION_FAILED"),
        ("types=x", "VALIDATION_FAILED"),
    ] {
        let refused = app.client.get(&format!("/api/v1/stream?{query}")).await;
        assert_eq!(refused.json()["code"], code, "{query}");
    }
    let headers = [("last-event-id", "evt_1")];
    let refused = app
        .client
        .send(Method::GET, "/api/v1/stream", &headers, "")
        .await;
    assert_eq!(refused.json()["code"], "CURSOR_INVALID");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_token_is_told_of_test_calls_alone() {
    let app = TestApp::by_hand().await;
    let scopes = [Scope::CallsRead, Scope::CallsCreate];
    let token = app.token(Environment::Test, &scopes, None).await;
    let test = app.client.with_token(Some(&token));
    let list = app.client.get("/api/v1/calls").await.json();
    let cursor = list["stream_cursor"].as_str().expect("a cursor");
    app.place_answered().await;
    let path = format!("/api/v1/stream?timeout=0&after={cursor}");
    let streamed = || async {
        test.get(&path)
            .await
            .text
            .matches("\nevent: event_")
            .count()
    };
    let pulled = || async { test.get("/api/v1/events").await.json()["items"].clone() };
    assert_eq!(streamed().await, 0);
    assert_eq!(pulled().await, json!([]));

    let body = json!({"agent_id": app.tenant.agent_id, "to": "+15550101"});
    let placed = test.post("/api/v1/calls", &body).await.json();
    let id = placed["id"].as_str().expect("an id");
    app.wait_for_status(id, "in-progress").await;

    // What a transaction of any database may still come before is told later.
    wait_for("the stream", streamed, |count| *count == 3).await;
    let all = |events: &serde_json::Value| events.as_array().is_some_and(|all| all.len() == 3);
    let pulled = wait_for("the events", pulled, all).await;
    let pulled = pulled.as_array().expect("events");
    assert!(pulled.iter().all(|event| event["call_id"] == id));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_gone_is_answered_with_a_reset_and_a_new_place() {
    let app = TestApp::by_hand().await;
    let list = app.client.get("/api/v1/calls").await.json();
    let cursor = list["stream_cursor"].as_str().expect("a cursor").to_owned();
    app.place_answered().await;
    let (_, given_at) = cursor.split_once('-').expect("two parts");
    let of_another_database = format!("ffffffffffff-{given_at}");
    app.advance(31 * 24 * 3600);
    for gone in [cursor, of_another_database] {
        let mut source = EventSource::new(&app.tenant.token, "/api/v1/stream");
        source.last_id = Some(gone.clone());
        let mut stream = source.connect(app.node.address).await;
        let reset = stream.next(&mut source).await.expect("a message");
        assert_eq!(
            (reset.kind.as_str(), &reset.data),
            ("reset", &json!({"reason": "position_gone"}))
        );
        // What follows is from now on.
        assert_ne!(source.last_id.as_deref(), Some(gone.as_str()));
        let id = app.place().await;
        let started = stream.next(&mut source).await.expect("an event");
        assert_eq!(started.data["call_id"], json!(id));
        app.wait_for_status(&id, "in-progress").await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_that_it_lives_and_ends_with_its_token_and_with_its_node() {
    let app = TestApp::running().await;
    let (token, other) = (
        app.token(Environment::Live, &[Scope::CallsRead], None)
            .await,
        app.node_with(&[]).await,
    );
    // Nothing happens: a comment says so, with the place so far.
    let mut quiet = EventSource::new(&app.tenant.token, "/api/v1/stream?heartbeat=1");
    let mut stream = quiet.connect(other.address).await;
    let opened = stream.bytes;
    while stream.bytes < opened + 30 {
        assert!(stream.more(256).await, "a heartbeat");
    }
    assert!(stream.take(&mut quiet).is_none());
    assert!(quiet.last_id.is_some());

    let mut revoked = EventSource::new(&token, "/api/v1/stream");
    let mut of_token = revoked.connect(other.address).await;
    let mut owner = app.database.as_owner().await;
    owner
        .execute("UPDATE tokens SET revoked_at = now() WHERE name = 'test'")
        .await
        .expect("an update");
    let closed = of_token.next(&mut revoked).await.expect("a message");
    assert_eq!(
        (closed.kind.as_str(), &closed.data),
        ("closed", &json!({"reason": "token_revoked"}))
    );
    assert!(of_token.next(&mut revoked).await.is_none());
    // The other reader goes on, until the node stops: both nodes of a test stop together.
    let id = app.place().await;
    let started = stream.next(&mut quiet).await.expect("an event");
    assert_eq!(started.data["call_id"], json!(id));
    app.wait_for_status(&id, "in-progress").await;
    let stopping = async {
        let mut last = None;
        while let Some(message) = stream.next(&mut quiet).await {
            last = Some(message);
        }
        last.expect("a last message")
    };
    let (last, ()) = tokio::join!(stopping, other.stop());
    assert_eq!(
        (last.kind.as_str(), &last.data),
        ("resume", &json!({"reason": "stopping"}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_keep_up_is_sent_away_with_its_place_and_misses_nothing() {
    let app = TestApp::looking_on().await;
    let mut source = EventSource::new(&app.tenant.token, "/api/v1/stream");
    let mut slow = source.connect(app.node.address).await;
    while source.last_id.is_none() {
        assert!(slow.more(256).await, "an opening");
        assert!(slow.take(&mut source).is_none());
    }
    // More than the channel and the sockets hold: it reads nothing meanwhile.
    let (calls, per_call) = (16, 2000);
    write_facts(&app, &app.tenant, calls, per_call).await;
    let expected = recorded(&app, &app.tenant).await;
    // Somebody who does keep up is shown that all of it was handed on.
    wait_for(
        "the end of what is new",
        || async {
            let path = "/api/v1/stream?timeout=0&after=0-7fffffff";
            app.client
                .get(path)
                .await
                .text
                .matches("\nevent: event_")
                .count()
        },
        |count| *count == expected.len(),
    )
    .await;

    let (mut seen, mut sent_away) = (Vec::new(), 0);
    while seen.len() < expected.len() {
        while let Some(message) = slow.next(&mut source).await {
            if message.kind == "resume" {
                assert_eq!(message.data, json!({"reason": "behind"}));
                sent_away += 1;
            } else {
                seen.push(message);
            }
            if seen.len() == expected.len() {
                break;
            }
        }
        if seen.len() < expected.len() {
            slow = source.connect(app.node.address).await;
        }
    }
    assert!(sent_away >= 1);
    assert!(ids(&seen) == expected);
    app.stop().await;
}

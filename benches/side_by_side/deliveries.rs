//! `-- --deliveries`: 100,000 deliveries to 50 receivers, of which 5 are dead and 5 take 2 s, and the
//! same without the dead ones; beside a bare client that posts the same bodies to the same receiver.
//!
//! Five organisations have ten receivers each, one of them dead and one slow. All deliveries are due
//! at one instant, while the server is running and after all of them were stored; how late one is
//! counts from then. What is dead accepts the connection and never answers: that holds a place for
//! longest.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use onhook::{
    ambient::Ambient,
    boot::private_postgres::{Options, PrivatePostgres},
    domain::Timestamp,
};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Result,
    children::{self, Environment, Server},
    client,
    database::{Database, quoted, text},
    machine, roles, say,
};

const ORGANIZATIONS: usize = 5;
const RECEIVERS: usize = 10;

/// Requests that the bare client has under way.
const BARE_CLIENTS: usize = 64;

/// How long all healthy receivers may take together.
const LONGEST: Duration = Duration::from_mins(6);

/// Takes one measurement of each kind and prints them. `quick`: 10,000 deliveries.
pub(crate) async fn run(quick: bool) -> Result<bool> {
    let each = if quick { 200 } else { 2000 };
    let ambient = Ambient::system();
    say("starting a PostgreSQL with default durability");
    let name = format!("deliveries-{}", ambient.entropy.uuid().simple());
    let postgres = PrivatePostgres::start(
        Options {
            data_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join(name),
            durable: true,
            keep: false,
            max_connections: 100,
        },
        ambient.entropy.as_ref(),
    )
    .await?;
    let mut rounds = Vec::new();
    for dead in [false, true] {
        let round = round(&postgres, &ambient, each, dead).await?;
        say(&round.told(dead));
        rounds.push(round);
    }
    let bare = bare(each).await?;
    say(&format!("a bare client: {bare:.0} deliveries/s"));
    postgres.stop().await?;
    let [without, with] = rounds.as_slice() else {
        return Err("two rounds".into());
    };
    let ratio = with.p99.as_secs_f64() / without.p99.as_secs_f64();
    say(&format!(
        "p99 of the healthy with the dead ones / without: {ratio:.2} (gate 2)\n\
         deliveries/s / the bare client's: {:.3} without the dead ones, {:.3} with them\n\
         machine used by others: {:.0} % and {:.0} %",
        without.rate / bare,
        with.rate / bare,
        without.others * 100.0,
        with.others * 100.0,
    ));
    Ok(ratio <= 2.0 && rounds.iter().all(|round| round.missing == 0))
}

/// What came of a round.
struct Round {
    healthy: usize,
    missing: usize,
    took: Duration,
    p50: Duration,
    p99: Duration,
    /// Deliveries to healthy receivers in a second.
    rate: f64,
    idle_kib: u64,
    most_kib: u64,
    others: f64,
}

impl Round {
    fn told(&self, dead: bool) -> String {
        format!(
            "{} the dead ones: {} of {} to healthy receivers in {:.1} s ({:.0}/s), late by {:.2} s \
             (p50), {:.2} s (p99); resident {:.1} MiB before, {:.1} MiB at most",
            if dead { "with" } else { "without" },
            self.healthy - self.missing,
            self.healthy,
            self.took.as_secs_f64(),
            self.rate,
            self.p50.as_secs_f64(),
            self.p99.as_secs_f64(),
            mebibytes(self.idle_kib),
            mebibytes(self.most_kib),
        )
    }
}

fn mebibytes(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}

async fn round(
    postgres: &PrivatePostgres,
    ambient: &Ambient,
    each: usize,
    dead: bool,
) -> Result<Round> {
    let name = if dead { "with_dead" } else { "without_dead" };
    postgres.create_database(name).await?;
    let database = Database {
        url: postgres.url(name),
    };
    let environment = Environment::new(&database.url, ambient);
    children::onhook(&environment, &["migrate"], "").await?;
    let (hooks, told) = children::role(roles::HOOKS).await?;
    let receiver = children::address(&told, "hooks")?;
    let server = children::serve(&environment).await?;
    add_receivers(&environment, &server, receiver, dead).await?;
    let pid = server.running.pid;
    let idle_kib = machine::resident_kib(pid)?;
    let watch = machine::Watch::start()?;
    let due = ambient.now().plus(time_to_store(each));
    database.run(seed(each, due)).await?;
    let ahead = due.since(ambient.now());
    let Ok(ahead) = Duration::try_from(ahead) else {
        return Err("the deliveries were due before they were stored".into());
    };
    tokio::time::sleep(ahead).await;
    let healthy = ORGANIZATIONS * (RECEIVERS - 2) * each;
    let began = Instant::now();
    let mut most_kib = idle_kib;
    let seen = loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        most_kib = most_kib.max(machine::resident_kib(pid)?);
        let seen = client::once(receiver, "GET", "/count", &[], "").await?;
        if seen.as_u64() >= Some(u64::try_from(healthy)?) || began.elapsed() > LONGEST {
            break client::once(receiver, "GET", "/late", &[], "").await?;
        }
    };
    let others = watch.end()?.others;
    server.running.end().await?;
    hooks.end().await?;
    let millis = |name: &str| {
        let millis = seen.get(name).and_then(Value::as_u64).unwrap_or_default();
        Duration::from_millis(millis)
    };
    let distinct = seen.get("distinct").and_then(Value::as_u64).unwrap_or(0);
    let took = millis("last");
    let arrived = u32::try_from(distinct)?;
    Ok(Round {
        healthy,
        missing: healthy.saturating_sub(usize::try_from(distinct)?),
        took,
        p50: millis("p50"),
        p99: millis("p99"),
        rate: f64::from(arrived) / took.as_secs_f64(),
        idle_kib,
        most_kib,
        others,
    })
}

/// Founds the organisations and adds their receivers, the dead ones only if they are asked for.
async fn add_receivers(
    environment: &Environment,
    server: &Server,
    receiver: SocketAddr,
    dead: bool,
) -> Result<()> {
    for organization in 0..ORGANIZATIONS {
        let authorization = found(environment, organization).await?;
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        let numbers = (0..RECEIVERS).filter(|number| dead || kind_of(*number) != "dead");
        for number in numbers {
            let url = format!(
                "http://{receiver}/{}/{organization}-{number}",
                kind_of(number)
            );
            let body = json!({"url": url, "timeout_seconds": 15}).to_string();
            let path = "/api/v1/webhook-endpoints";
            client::once(server.address, "POST", path, &headers, &body).await?;
        }
    }
    Ok(())
}

fn kind_of(number: usize) -> &'static str {
    match number {
        0 => "dead",
        1 => "slow",
        _ => "healthy",
    }
}

async fn found(environment: &Environment, number: usize) -> Result<String> {
    let name = format!("organisation-{number}");
    let arguments = [
        "admin",
        "create-organization",
        "--name",
        &name,
        "--token",
        "--json",
    ];
    let founded: Value =
        serde_json::from_str(&children::onhook(environment, &arguments, "").await?)?;
    Ok(format!("Bearer {}", text(&founded, "token")?))
}

/// What storing the deliveries may take: a second for each 2,500 of them, and five.
fn time_to_store(each: usize) -> time::Duration {
    let rows = ORGANIZATIONS * RECEIVERS * each;
    time::Duration::seconds(5 + i64::try_from(rows / 2500).unwrap_or(0))
}

/// Each organisation's events, about as long as those of calls, and a delivery of each for each of
/// its receivers. The events happen when their deliveries are due.
fn seed(each: usize, due: Timestamp) -> String {
    let due = quoted(&due.to_string());
    let data = quoted(&data().to_string());
    format!(
        "WITH event AS (
            INSERT INTO organization_events (organization_id, id, type, at, data)
            SELECT o.organization_id, gen_random_uuid(), 'webhook.test', {due}::timestamptz, {data}::jsonb
            FROM organizations o CROSS JOIN generate_series(1, {each})
            RETURNING organization_id, id
        )
        INSERT INTO webhook_deliveries (organization_id, endpoint_id, call_id, sequence, state, due_at, created_at)
        SELECT e.organization_id, e.id, event.id, 0, 'pending', {due}::timestamptz, {due}::timestamptz
        FROM event JOIN webhook_endpoints e ON e.organization_id = event.organization_id;
        ANALYZE webhook_deliveries; ANALYZE organization_events"
    )
}

/// As long as a call that ended is.
fn data() -> Value {
    json!({"call": {"id": "ded9e572-4c0d-40d7-b135-542bbb42b4f8", "filler": "x".repeat(1100)}})
}

/// Deliveries in a second of a client that does nothing else.
async fn bare(each: usize) -> Result<f64> {
    let (hooks, told) = children::role(roles::HOOKS).await?;
    let url = format!("http://{}/healthy", children::address(&told, "hooks")?);
    let count = ORGANIZATIONS * (RECEIVERS - 2) * each;
    let left = Arc::new(AtomicUsize::new(count));
    drop(rustls::crypto::ring::default_provider().install_default());
    #[expect(clippy::disallowed_methods, reason = "this is what is compared with")]
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(BARE_CLIENTS)
        .build()?;
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..BARE_CLIENTS {
        let (http, url, left) = (http.clone(), url.clone(), Arc::clone(&left));
        clients.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            while let Ok(number) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                let body = json!({
                    "id": format!("evt_{number:032x}_0"), "type": "webhook.test",
                    "timestamp": "2026-11-21T09:31:44.210Z",
                    "organization_id": "8470ca0d-9167-4835-a18b-0996cc2901d4",
                    "agent_id": null, "call_id": null, "sequence": 0, "data": data(),
                });
                let answer = http
                    .post(&url)
                    .header(CONTENT_TYPE, "application/json")
                    .header("webhook-id", format!("evt_{number:032x}_0"))
                    .body(body.to_string());
                #[expect(clippy::disallowed_methods, reason = "this is what is compared with")]
                answer.send().await?.error_for_status()?;
            }
            Ok::<(), reqwest::Error>(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let rate = f64::from(u32::try_from(count)?) / began.elapsed().as_secs_f64();
    hooks.end().await?;
    Ok(rate)
}

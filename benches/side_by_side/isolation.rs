//! Another tenant's id against an id that is nobody's, on every operation of the document that takes
//! one: who measures how long the refusals take must not learn which ids exist.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    Result,
    client::{self, Connection},
    database::{quoted, text},
    report::Report,
    say,
    stand::Stand,
};

const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json"));

/// Requests for each of the two ids.
const EACH: usize = 1000;

/// A difference, in percent, that would tell one from the other.
const TELLING: f64 = 5.0;

/// Somebody else on the machine can make a difference once; ours is there each time.
const TRIES: usize = 3;

/// Before the clock starts.
const WARM_UP: usize = 50;

/// Ids that one tenant could name.
struct Names {
    agent: String,
    call: String,
    other: String,
}

/// Takes the sample of the row.
pub(crate) async fn measure(stand: &Stand, report: &mut Report) -> Result<()> {
    let theirs = theirs(stand).await?;
    let nobodys = Names {
        agent: "1f0e0d0c-0b0a-4908-8706-050403020100".to_owned(),
        call: "2f0e0d0c-0b0a-4908-8706-050403020100".to_owned(),
        other: "3f0e0d0c-0b0a-4908-8706-050403020100".to_owned(),
    };
    let mut connection = Connection::open(stand.server.address).await?;
    let (mut worst, mut compared) = (0.0_f64, 0_u32);
    for (title, foreign, unknown) in pairs(stand, &theirs, &nobodys)? {
        let mut least = f64::INFINITY;
        for _ in 0..TRIES {
            let (foreign, unknown) = medians(&mut connection, &title, &foreign, &unknown).await?;
            let differ = (foreign.as_secs_f64() / unknown.as_secs_f64() - 1.0).abs() * 100.0;
            say(&format!(
                "    {title}: {} µs and {} µs, {differ:.1} %",
                foreign.as_micros(),
                unknown.as_micros()
            ));
            least = least.min(differ);
            if least < TELLING {
                break;
            }
        }
        worst = worst.max(least);
        compared += 1;
    }
    report.add("16.worst", worst, false);
    report.add("16.operations", f64::from(compared), false);
    Ok(())
}

/// Things of the organisation with most calls, for its neighbour to ask for.
async fn theirs(stand: &Stand) -> Result<Names> {
    let organization = quoted(&stand.many.organization_id);
    let call = stand
        .main
        .row(format!(
            "SELECT id FROM calls WHERE organization_id = {organization} AND ended_at IS NULL LIMIT 1"
        ))
        .await?;
    let endpoints = stand
        .main
        .rows("SELECT id FROM webhook_endpoints LIMIT 1")
        .await?;
    let endpoint = endpoints.first().ok_or("no endpoint")?;
    Ok(Names {
        agent: stand.many.agent_id.clone(),
        call: text(&call, "id")?.to_owned(),
        other: text(endpoint, "id")?.to_owned(),
    })
}

/// An operation, and what asks it for theirs and for nobody's.
type Pair = (String, Vec<u8>, Vec<u8>);

/// One for each operation that takes an id and a token.
fn pairs(stand: &Stand, theirs: &Names, nobodys: &Names) -> Result<Vec<Pair>> {
    let document: Value = serde_json::from_str(DOCUMENT)?;
    let paths = document.get("paths").and_then(Value::as_object);
    let mut pairs = Vec::new();
    for (path, methods) in paths.ok_or("no paths")? {
        for (method, operation) in methods.as_object().ok_or("no methods")? {
            let of_token = operation.pointer("/security/0/bearer").is_some();
            if !path.contains('{') || !of_token {
                continue;
            }
            let method = method.to_uppercase();
            let ask = |names: &Names| request(stand, &method, path, operation, names);
            pairs.push((format!("{method} {path}"), ask(theirs), ask(nobodys)));
        }
    }
    Ok(pairs)
}

fn request(stand: &Stand, method: &str, path: &str, operation: &Value, names: &Names) -> Vec<u8> {
    let of_call = path.contains("/calls/{");
    let filled = path
        .replace("{agent_id}", &names.agent)
        .replace("{call_id}", &names.call)
        .replace("{call_sid}", &names.call)
        .replace("{id}", if of_call { &names.call } else { &names.other });
    let body = match operation.get("operationId").and_then(Value::as_str) {
        Some("agent_end_call") => json!({"call_sid": names.call}),
        Some("agent_call") => json!({"to": "+15550101"}),
        _ => json!({}),
    };
    let headers = [
        ("authorization", stand.few.authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let body = match operation.get("requestBody") {
        Some(_) => body.to_string(),
        None => String::new(),
    };
    client::request(method, &filled, &headers, &body)
}

/// The medians of both, asked in turn on one connection.
async fn medians(
    connection: &mut Connection,
    title: &str,
    foreign: &[u8],
    unknown: &[u8],
) -> Result<(Duration, Duration)> {
    let (mut of_foreign, mut of_unknown) = (Vec::new(), Vec::new());
    for turn in 0..WARM_UP + EACH {
        // Neither always comes first.
        let mut both = [(foreign, &mut of_foreign), (unknown, &mut of_unknown)];
        if turn % 2 == 1 {
            both.reverse();
        }
        for (request, times) in both {
            let asked = Instant::now();
            let status = connection.exchange(request).await?.status;
            let took = asked.elapsed();
            if !(400..500).contains(&status) {
                return Err(format!("{title} answers {status}").into());
            }
            if turn >= WARM_UP {
                times.push(took);
            }
        }
    }
    Ok((median(of_foreign)?, median(of_unknown)?))
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().ok_or("no times")?)
}

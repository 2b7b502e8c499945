//! What an end costs the server at each provider: from the request to the evidence, which each tells
//! in its own way. Calls are placed by the server or come in, as they would.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    CLIENTS, Result, children,
    client::{self, Connection},
    database::text,
    load::{self, Load, Requests},
    machine::{self, Watch},
    report::Report,
    say,
    stand::Stand,
};

/// Calls that are ended at each provider.
const CALLS: usize = 600;

/// How long they may take to be answered, and to be over.
const PATIENCE: Duration = Duration::from_mins(1);

/// Beyond what the load takes: it ends with the last call.
const LONGEST: Duration = Duration::from_mins(1);

/// A provider, the row of its figure, a name for an account there, a number, and whether its calls
/// only come in.
const PROVIDERS: [(&str, &str, &str, &str, bool); 5] = [
    (
        "twilio",
        "p.twilio",
        "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "+15550151",
        false,
    ),
    (
        "telnyx",
        "p.telnyx",
        "1494404757140276799",
        "+15550152",
        false,
    ),
    (
        "vonage",
        "p.vonage",
        "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
        "+15550153",
        false,
    ),
    (
        "sip",
        "p.sip",
        "cccccccc-cccc-4ccc-8ccc-cccccccccccc",
        "+15550154",
        false,
    ),
    (
        "openai",
        "p.openai",
        "proj_bbbbbbbbbbbbbbbbbbbbbbbb",
        "+15550155",
        true,
    ),
];

/// An organisation with an account at the provider that is measured.
struct Customer {
    provider: &'static str,
    account: &'static str,
    number: &'static str,
    account_id: String,
    agent_id: String,
    authorization: String,
    simulator: SocketAddr,
}

/// Takes a sample of each provider, one after the other.
pub(crate) async fn measure(stand: &Stand, report: &mut Report) -> Result<()> {
    let mut twilio = None;
    for (provider, row, account, number, comes_in) in PROVIDERS {
        say(&format!("  ends at {provider}"));
        stand.provider.reset(0).await?;
        let customer = connect(stand, provider, account, number, comes_in).await?;
        let ids = live_calls(stand, &customer, comes_in).await?;
        let watch = Watch::start()?;
        let micros = end_all(stand, &customer, &ids).await?;
        let disturbed = watch.end()?.disturbed();
        let of_twilio = *twilio.get_or_insert(micros);
        let value = if provider == "twilio" {
            micros
        } else {
            micros / of_twilio
        };
        report.add(row, value, disturbed);
    }
    stand.provider.reset(0).await
}

async fn connect(
    stand: &Stand,
    provider: &'static str,
    account: &'static str,
    number: &'static str,
    comes_in: bool,
) -> Result<Customer> {
    let simulator = stand.provider.address();
    let mut founding = vec![
        "admin",
        "create-organization",
        "--name",
        provider,
        "--token",
        "--json",
    ];
    // A sentence would end the call by itself; OpenAI's model has the conversation itself.
    if !comes_in {
        founding.extend(["--stream", "wss://media.example/calls"]);
    }
    let founded: Value =
        serde_json::from_str(&children::onhook(&stand.environment, &founding, "").await?)?;
    let organization_id = text(&founded, "organization_id")?;
    let agent_id = text(&founded, "agent_id")?;
    let mut known =
        json!({"provider": provider, "external_id": account, "secret": "a secret of nobody"});
    let admitted = admit(simulator, &known).await?;
    let credentials = admitted.get("credentials").ok_or("no credentials")?;
    let base = format!("http://{simulator}/{provider}");
    let connecting = [
        "admin",
        "connect-account",
        "--organization-id",
        organization_id,
        "--agent-id",
        agent_id,
        "--provider",
        provider,
        "--external-id",
        account,
        "--number",
        number,
        "--api-base-url",
        &base,
        "--simulated",
        "--price-micros-per-minute",
        "14000",
    ];
    let input = credentials.to_string();
    let connected: Value =
        serde_json::from_str(&children::onhook(&stand.environment, &connecting, &input).await?)?;
    let account_id = text(&connected, "provider_account_id")?.to_owned();
    let incoming = format!(
        "http://{}/callbacks/{provider}/{account_id}",
        stand.server.address
    );
    if let Some(members) = known.as_object_mut() {
        members.insert("incoming_url".to_owned(), incoming.into());
    }
    admit(simulator, &known).await?;
    Ok(Customer {
        provider,
        account,
        number,
        account_id,
        agent_id: agent_id.to_owned(),
        authorization: format!("Bearer {}", text(&founded, "token")?),
        simulator,
    })
}

async fn admit(simulator: SocketAddr, account: &Value) -> Result<Value> {
    client::once(
        simulator,
        "POST",
        "/_sim/accounts",
        &[],
        &account.to_string(),
    )
    .await
}

/// Has calls placed, or come in, and waits until they are answered; our ids of them.
async fn live_calls(stand: &Stand, customer: &Customer, comes_in: bool) -> Result<Vec<String>> {
    let (address, path, body) = if comes_in {
        let body = json!({
            "provider": customer.provider, "account": customer.account, "to": customer.number,
            "from": "+15550101",
        });
        (customer.simulator, "/_sim/inbound", body)
    } else {
        let body = json!({
            "agent_id": customer.agent_id, "to": "+15550101",
            "provider_account_id": customer.account_id,
        });
        (stand.server.address, "/api/v1/calls", body)
    };
    let headers = [
        ("authorization", customer.authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let request = client::request("POST", path, &headers, &body.to_string());
    let mut connection = Connection::open(address).await?;
    for _ in 0..CALLS {
        let reply = connection.exchange(&request).await?;
        if reply.status != 201 {
            return Err(format!("{path} answers {}", reply.status).into());
        }
    }
    let listing = format!("/api/v1/calls?status=in-progress&limit={CALLS}");
    let began = Instant::now();
    loop {
        // While they all come in at once, the server may refuse to be asked.
        let page = get(stand, customer, &listing).await.unwrap_or_default();
        let items = page.get("items").and_then(Value::as_array);
        let items = items.map_or(&[][..], Vec::as_slice);
        if items.len() == CALLS {
            return items
                .iter()
                .map(|call| Ok(text(call, "id")?.to_owned()))
                .collect();
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{} of {CALLS} calls are answered", items.len()).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Ends every call and waits until all are over; the server's processor time for each.
async fn end_all(stand: &Stand, customer: &Customer, ids: &[String]) -> Result<f64> {
    let headers = [("authorization", customer.authorization.as_str())];
    let requests = ids.iter().map(|id| {
        let path = format!("/api/v1/calls/{id}/end");
        client::request("POST", &path, &headers, "")
    });
    let requests = Arc::new(Requests::each(requests.collect()));
    let pid = stand.server.running.pid;
    let before = machine::cpu(pid)?;
    let load = Load {
        address: stand.server.address,
        pid,
        clients: CLIENTS,
        duration: LONGEST,
    };
    load::run(&load, &requests).await?;
    let began = Instant::now();
    loop {
        let left = get(stand, customer, "/api/v1/calls/count?status=ongoing").await?;
        if left.get("count").and_then(Value::as_u64) == Some(0) {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("calls at {} are not over: {left}", customer.provider).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let spent = machine::cpu(pid)?.saturating_sub(before);
    let calls = u32::try_from(ids.len().max(1))?;
    Ok(spent.as_secs_f64() * 1e6 / f64::from(calls))
}

async fn get(stand: &Stand, customer: &Customer, path: &str) -> Result<Value> {
    let headers = [("authorization", customer.authorization.as_str())];
    client::once(stand.server.address, "GET", path, &headers, "").await
}

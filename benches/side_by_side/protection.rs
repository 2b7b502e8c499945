//! One account's provider hangs while others work, more clients than the database can follow, and
//! (`logins`) a hundred who log in.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    CLIENTS, Result,
    children::Server,
    client::{self, Connection},
    database::{quoted, text},
    ends::{self, Ends},
    load::{self, Load, Outcome, Requests},
    logins, machine,
    report::Report,
    rounds::{Times, list_request},
    say,
    stand::Stand,
};

/// Ends that are under way at the provider that hangs.
const PENDING: usize = 256;

/// How long they are let pile up before the others are measured.
const PILE_UP: Duration = Duration::from_secs(2);

/// Each of the clients uses up a call in the 5 s that it waits for the answer.
const CALLS: usize = PENDING * 12;

/// Twenty times the connections that requests have.
const OVERLOAD: usize = 160;

/// What a hang-up takes then.
const D_MILLIS: u64 = 50;

/// Takes the samples of all three rows.
pub(crate) async fn measure(stand: &Stand, times: Times, report: &mut Report) -> Result<()> {
    let server = &stand.server;
    say("  others, while one account's provider hangs");
    one_hangs(stand, server, times, report).await?;
    say("  twenty times as many clients as connections");
    overload(stand, times, report).await?;
    logins::measure(stand, times, report).await
}

async fn one_hangs(
    stand: &Stand,
    server: &Server,
    times: Times,
    report: &mut Report,
) -> Result<()> {
    let (lists, ends) = others(stand, server, times).await?;
    let deaf = TcpListener::bind("127.0.0.1:0").await?;
    let host = format!("http://{}/twilio", deaf.local_addr()?);
    let mut behind = JoinSet::new();
    behind.spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = deaf.accept().await {
            held.push(stream);
        }
    });
    let organization = quoted(&stand.many.organization_id);
    let before = stand
        .main
        .rows(format!(
            "SELECT api_base_url AS url FROM provider_accounts WHERE organization_id = {organization}"
        ))
        .await?;
    let before = text(before.first().ok_or("no account")?, "url")?.to_owned();
    point(stand, &host).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut pending = hanging_ends(stand, server, &stop).await?;
    tokio::time::sleep(PILE_UP).await;
    let (lists_beside, ends_beside) = others(stand, server, times).await?;
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    while let Some(done) = pending.join_next().await {
        answered += done??;
    }
    point(stand, &before).await?;
    stand
        .main
        .run(format!(
            "DELETE FROM jobs WHERE organization_id = {organization}"
        ))
        .await?;
    let disturbed = [&lists, &ends, &lists_beside, &ends_beside]
        .iter()
        .any(|outcome| outcome.seen.disturbed());
    for (row, value) in [
        ("4.list", lists_beside.percentile(99) / lists.percentile(99)),
        ("4.end", ends_beside.percentile(99) / ends.percentile(99)),
        ("4.list_p99", lists_beside.percentile(99)),
        ("4.end_p99", ends_beside.percentile(99)),
        (
            "4.list_rate",
            lists_beside.per_second() / lists.per_second(),
        ),
        ("4.end_rate", ends_beside.per_second() / ends.per_second()),
    ] {
        report.add(row, value, disturbed);
    }
    report.add("4.pending", f64::from(u32::try_from(PENDING)?), false);
    report.add("4.answered", f64::from(u32::try_from(answered)?), false);
    Ok(())
}

/// Lists and ends of other organisations.
async fn others(stand: &Stand, server: &Server, times: Times) -> Result<(Outcome, Outcome)> {
    let load = Load {
        address: server.address,
        pid: server.running.pid,
        clients: CLIENTS,
        duration: times.list,
    };
    let requests = Arc::new(Requests::Same(list_request(&stand.few)));
    let lists = load::run(&load, &requests).await?;
    if let Some(complaint) = &lists.complaint {
        return Err(format!("{} lists failed: {complaint}", lists.failed).into());
    }
    let seconds = usize::try_from(times.end.as_secs())? + 1;
    let load = Ends {
        clients: CLIENTS,
        delay_millis: 0,
        duration: times.end,
        pool: seconds * 2000,
    };
    let ended = ends::end_many(stand, server, load).await?.outcome;
    if let Some(complaint) = &ended.complaint {
        return Err(format!("{} ends failed: {complaint}", ended.failed).into());
    }
    Ok((lists, ended))
}

/// Points the account of the organisation with the most calls at another host.
async fn point(stand: &Stand, host: &str) -> Result<()> {
    let (host, organization) = (quoted(host), quoted(&stand.many.organization_id));
    let statement = format!(
        "UPDATE provider_accounts SET api_base_url = {host} WHERE organization_id = {organization}"
    );
    stand.main.run(statement).await?;
    // The server remembers an account for five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    Ok(())
}

/// Starts clients that end calls of that account, one after the other; how many each got answered
/// with what an end under way is answered with.
async fn hanging_ends(
    stand: &Stand,
    server: &Server,
    stop: &Arc<AtomicBool>,
) -> Result<JoinSet<Result<usize>>> {
    let mut sids = String::new();
    for number in 0..CALLS {
        write!(sids, "{}CAhangs{number}", if number > 0 { "," } else { "" })?;
    }
    let organization = quoted(&stand.many.organization_id);
    let made = stand
        .main
        .rows(format!(
            "SELECT * FROM bench.make({organization}, ARRAY(
                SELECT sid || gen_random_uuid() FROM unnest('{{{sids}}}'::text[]) sid))"
        ))
        .await?;
    let headers = [("authorization", stand.many.authorization.as_str())];
    let mut requests = Vec::new();
    for row in &made {
        let path = format!("/api/v1/calls/{}/end", text(row, "id")?);
        requests.push(client::request("POST", &path, &headers, ""));
    }
    let mut clients = JoinSet::new();
    for requests in requests.chunks(CALLS / PENDING) {
        let (requests, stop) = (requests.to_vec(), Arc::clone(stop));
        let mut connection = Connection::open(server.address).await?;
        clients.spawn(async move {
            let mut answered = 0;
            for request in requests {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                answered += usize::from(connection.exchange(&request).await?.status == 202);
            }
            Ok(answered)
        });
    }
    Ok(clients)
}

async fn overload(stand: &Stand, times: Times, report: &mut Report) -> Result<()> {
    stand.provider.reset(D_MILLIS).await?;
    let seconds = usize::try_from(times.end.as_secs())? + 1;
    let calls = ends::make(stand, seconds * 1500).await?;
    let list = list_request(&stand.few);
    let requests = calls
        .iter()
        .flat_map(|call| [ends::request(stand, call), list.clone()])
        .collect();
    let requests = Arc::new(Requests::each(requests));
    let server = &stand.server;
    let load = Load {
        address: server.address,
        pid: server.running.pid,
        clients: OVERLOAD,
        duration: times.end,
    };
    let outcome = load::run(&load, &requests).await?;
    let over = Instant::now();
    let mut connection = Connection::open(server.address).await?;
    while connection.exchange(&list).await?.status != 200 {}
    let recovered = over.elapsed();
    if let Some(complaint) = &outcome.complaint {
        say(&format!("  {} turned away: {complaint}", outcome.failed));
    }
    let latest = Duration::from_secs(1) + Duration::from_millis(D_MILLIS);
    let disturbed = outcome.seen.disturbed();
    let unused = calls.get(requests.sent().div_ceil(2)..).unwrap_or_default();
    ends::forget(stand, unused).await?;
    report.add("10.late", f64::from(outcome.later_than(latest)?), disturbed);
    report.add("10.wrong", f64::from(outcome.wrong), false);
    report.add("10.refused", f64::from(outcome.failed), false);
    report.add("10.slowest", outcome.percentile(100), disturbed);
    report.add("10.recovery", recovered.as_secs_f64() * 1e3, disturbed);
    report.add("10.rate", outcome.per_second(), disturbed);
    let memory = machine::resident_kib(server.running.pid)?;
    report.add("10.memory", crate::rounds::mebibytes(memory)?, false);
    Ok(())
}

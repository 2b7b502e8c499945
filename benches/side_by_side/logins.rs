//! What a hundred people who log in at once, again and again, do to the requests of others.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use tokio::task::JoinSet;

use crate::{
    CLIENTS, Result,
    client::{self, Connection},
    load::{self, Load, Outcome, Requests},
    report::Report,
    rounds::{Times, list_request},
    say,
    stand::Stand,
};

const AT_ONCE: u8 = 100;

/// Half of them share an address, another one in each round: what one may try is spent by then.
static OFFICES: AtomicU8 = AtomicU8::new(1);

/// What came of the logins of one client.
#[derive(Default)]
struct Tried {
    refused: u32,
    /// Turned away because too many wait.
    overloaded: u32,
}

/// Takes the sample.
pub(crate) async fn measure(stand: &Stand, times: Times, report: &mut Report) -> Result<()> {
    say("  lists, while a hundred log in");
    let before = lists(stand, times).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    let office = Ipv4Addr::new(127, 0, 18, OFFICES.fetch_add(1, Ordering::Relaxed));
    for number in 0..AT_ONCE {
        let from = if number % 2 == 0 {
            office
        } else {
            Ipv4Addr::new(127, 0, 17, number)
        };
        let (server, stop) = (stand.server.address, Arc::clone(&stop));
        clients.spawn(log_in(server, from, number, stop));
    }
    let beside = lists(stand, times).await?;
    stop.store(true, Ordering::Relaxed);
    let mut tried = Tried::default();
    while let Some(done) = clients.join_next().await {
        let done = done??;
        tried.refused += done.refused;
        tried.overloaded += done.overloaded;
    }
    // The better one: right after a start, the first lists are slow for other reasons.
    let after = lists(stand, times).await?;
    let without = if after.percentile(99) < before.percentile(99) {
        after
    } else {
        before
    };
    let disturbed = without.seen.disturbed() || beside.seen.disturbed();
    let seconds = times.list.saturating_sub(load::WARM_UP).as_secs_f64();
    for (row, value) in [
        ("17", beside.percentile(99) / without.percentile(99)),
        ("17.p99", beside.percentile(99)),
        ("17.without", without.percentile(99)),
        ("17.rate", beside.per_second() / without.per_second()),
        ("17.logins", f64::from(tried.refused) / seconds),
        ("17.overloaded", f64::from(tried.overloaded)),
    ] {
        report.add(row, value, disturbed);
    }
    report.add("17.failed", f64::from(beside.failed), false);
    Ok(())
}

async fn lists(stand: &Stand, times: Times) -> Result<Outcome> {
    let load = Load {
        address: stand.server.address,
        pid: stand.server.running.pid,
        clients: CLIENTS,
        duration: times.list,
    };
    let requests = Arc::new(Requests::Same(list_request(&stand.few)));
    let outcome = load::run(&load, &requests).await?;
    if let Some(complaint) = &outcome.complaint {
        say(&format!("  {} lists failed: {complaint}", outcome.failed));
    }
    Ok(outcome)
}

/// Logs in until it is told to stop, each time as somebody else whom nobody knows: that costs what a
/// wrong password does.
async fn log_in(
    server: SocketAddr,
    from: Ipv4Addr,
    number: u8,
    stop: Arc<AtomicBool>,
) -> Result<Tried> {
    let mut connection = Connection::open_from(IpAddr::V4(from), server).await?;
    // That all come at the same moment is measured too.
    tokio::time::sleep(load::WARM_UP * 2).await;
    let mut tried = Tried::default();
    let mut turn = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let body = format!(
            r#"{{"email": "nobody-{number}-{turn}@example.com", "password": "correct horse battery"}}"#
        );
        let headers = [("content-type", "application/json")];
        let request = client::request("POST", "/api/v1/auth/login", &headers, &body);
        let reply = connection.exchange(&request).await?;
        match reply.status {
            401 => tried.refused += 1,
            503 if reply.says_when => tried.overloaded += 1,
            status => {
                let text = String::from_utf8_lossy(reply.body);
                return Err(format!("a login is answered {status}: {text}").into());
            }
        }
    }
    Ok(tried)
}

//! One round: the limits and the server back to back, so that each ratio compares what ran on the
//! same machine a moment apart.

use std::{sync::Arc, time::Duration};

use crate::{
    CLIENTS, Result, children, client,
    ends::{self, Ends},
    isolation,
    load::{self, Load, Outcome, Requests},
    logins, machine, protection, providers,
    report::Report,
    say,
    stand::{Stand, Tenant},
    statements,
};

/// How long each sample takes.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) hello: Duration,
    pub(crate) list: Duration,
    pub(crate) end: Duration,
    pub(crate) pgbench_seconds: u64,
    /// `None`: everything.
    pub(crate) only: Option<Only>,
}

/// A part of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    /// The ends of many calls.
    Ends,
    /// A provider that hangs and too many clients.
    Protection,
    /// The ends at each provider.
    Providers,
    /// Other tenants' ids.
    Isolation,
    /// Lists while many log in.
    Logins,
    /// What an operation costs in statements.
    Statements,
}

/// What the provider takes for a hang-up, in milliseconds.
const D: u64 = 50;

/// Calls made ready for the ends of one sample: at most so many ends a second are expected.
const ENDS_PER_SECOND: usize = 3000;

const STARTS: usize = 3;
const AT_ONCE: usize = 64;
const ENDED_AT_ONCE: usize = 3;

/// Takes every sample once that is asked for.
pub(crate) async fn round(stand: &mut Stand, times: Times, report: &mut Report) -> Result<()> {
    match times.only {
        Some(Only::Providers) => providers::measure(stand, report).await,
        Some(Only::Isolation) => isolation::measure(stand, report).await,
        Some(Only::Logins) => logins::measure(stand, times, report).await,
        Some(Only::Statements) => statements(stand, report).await,
        Some(Only::Protection) => protection::measure(stand, times, report).await,
        Some(Only::Ends) | None => every_sample(stand, times, report).await,
    }
}

async fn every_sample(stand: &mut Stand, times: Times, report: &mut Report) -> Result<()> {
    let mut most_others = 0.0_f64;
    let mut note = |outcome: &Outcome| most_others = most_others.max(outcome.seen.others);
    if times.only.is_none() {
        let (hello, list) = lists(stand, times, report).await?;
        note(&hello);
        note(&list);
    }
    say("  ends, the provider answers at once");
    let at_once = end_at_once(stand, times, report).await?;
    note(&at_once);
    say("  ends, the provider takes 50 ms");
    note(&slow_ends(stand, times, report).await?);
    say("  ends with the deliveries of their events");
    ends_with_deliveries(stand, times, report).await?;
    if times.only.is_some() {
        return Ok(());
    }
    protection::measure(stand, times, report).await?;
    say("  ends at each provider");
    providers::measure(stand, report).await?;
    say("  starts, statements, one call ended by many");
    starts(stand, report).await?;
    statements(stand, report).await?;
    one_by_many(stand, report).await?;
    say("  other tenants' ids");
    isolation::measure(stand, report).await?;
    let memory = machine::resident_kib(stand.server.running.pid)?;
    report.add("7.after", mebibytes(memory)?, false);
    let received = u32::try_from(ends::received(stand).await?)?;
    report.add("webhooks", f64::from(received), false);
    report.add("others", most_others, false);
    Ok(())
}

/// What an operation costs in statements, where the database counts them.
async fn statements(stand: &Stand, report: &mut Report) -> Result<()> {
    if stand.recording.statements.is_none() {
        return Ok(());
    }
    let counted = statements::count(stand).await?;
    for (row, value) in [
        ("9.list", counted.list),
        ("9.end", counted.end),
        ("9.writes", counted.list_writes),
        ("9.deliveries", counted.deliveries),
    ] {
        // Counts are what they are, whoever else uses the machine.
        report.add(row, (value * 100.0).round().abs() / 100.0, false);
    }
    Ok(())
}

pub(crate) fn mebibytes(kib: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(kib)?) / 1024.0)
}

/// The bare answer, pgbench's list, ours.
pub(crate) async fn lists(
    stand: &Stand,
    times: Times,
    report: &mut Report,
) -> Result<(Outcome, Outcome)> {
    say("  bare answer, lists");
    // The same request, so that what differs is the answer.
    let hello = Arc::new(Requests::Same(list_request(&stand.few)));
    let load = Load {
        address: stand.hello.1,
        pid: stand.hello.0.pid,
        clients: CLIENTS,
        duration: times.hello,
    };
    let hello = load::run(&load, &hello).await?;
    if let Some(complaint) = &hello.complaint {
        return Err(format!("the bare answer failed: {complaint}").into());
    }
    let pgbench = match &stand.pgbench {
        Some(pgbench) => pgbench.list(times.pgbench_seconds).await?,
        None => None,
    };
    let ours = list(stand, &stand.few, times.list).await?;
    let many = list(stand, &stand.many, times.list / 2).await?;
    let with_hello = hello.seen.disturbed() || ours.seen.disturbed();
    report.add("1b", ours.cpu_micros() / hello.cpu_micros(), with_hello);
    report.add("hello.rate", hello.per_second(), hello.seen.disturbed());
    report.add("hello.cpu", hello.cpu_micros(), hello.seen.disturbed());
    let with_many = many.seen.disturbed() || ours.seen.disturbed();
    report.add("1.many", many.per_second() / ours.per_second(), with_many);
    for (row, value) in [
        ("1.rate", ours.per_second()),
        ("1.p50", ours.percentile(50)),
        ("1.p99", ours.percentile(99)),
        ("1.cpu", ours.cpu_micros()),
        ("1.postgres", ours.postgres_micros()),
    ] {
        report.add(row, value, ours.seen.disturbed());
    }
    if let Some(limit) = pgbench {
        let disturbed = limit.seen.disturbed() || ours.seen.disturbed();
        report.add("1", ours.per_second() / limit.per_second, disturbed);
        report.add("1.pgbench", limit.per_second, limit.seen.disturbed());
    }
    Ok((hello, ours))
}

pub(crate) fn list_request(tenant: &Tenant) -> Vec<u8> {
    let headers = [("authorization", tenant.authorization.as_str())];
    client::request("GET", "/api/v1/calls?status=ongoing&limit=50", &headers, "")
}

async fn list(stand: &Stand, tenant: &Tenant, duration: Duration) -> Result<Outcome> {
    let load = Load {
        address: stand.server.address,
        pid: stand.server.running.pid,
        clients: CLIENTS,
        duration,
    };
    let outcome = load::run(&load, &Arc::new(Requests::Same(list_request(tenant)))).await?;
    if let Some(complaint) = &outcome.complaint {
        return Err(format!("{} lists failed: {complaint}", outcome.failed).into());
    }
    Ok(outcome)
}

/// pgbench's two kinds of end, ours.
async fn end_at_once(stand: &mut Stand, times: Times, report: &mut Report) -> Result<Outcome> {
    let seconds = times.pgbench_seconds;
    let (limit, own) = match &mut stand.pgbench {
        Some(pgbench) => (
            Some(pgbench.end1(seconds).await?),
            pgbench.own_end(seconds).await?,
        ),
        None => (None, None),
    };
    let ended = ends::end_many(stand, &stand.server, load_of(CLIENTS, 0, times)).await?;
    let ours = &ended.outcome;
    add_ended(report, &ended);
    let disturbed = ours.seen.disturbed();
    for (row, value) in [
        ("2.rate", ours.per_second()),
        ("2.p50", ours.percentile(50)),
        ("2.p99", ours.percentile(99)),
        ("2.cpu", ours.cpu_micros()),
        ("2.postgres", ours.postgres_micros()),
    ] {
        report.add(row, value, disturbed);
    }
    for (row, rate, limit) in [("2", "2.pgbench", limit), ("2.own", "2.pgbench_own", own)] {
        if let Some(limit) = limit {
            let either = disturbed || limit.seen.disturbed();
            report.add(row, ours.per_second() / limit.per_second, either);
            report.add(rate, limit.per_second, limit.seen.disturbed());
        }
    }
    Ok(ended.outcome)
}

async fn slow_ends(stand: &Stand, times: Times, report: &mut Report) -> Result<Outcome> {
    let seconds = f64::from(u32::try_from(D)?) / 1000.0;
    let ended = ends::end_many(stand, &stand.server, load_of(64, D, times)).await?;
    let ours = &ended.outcome;
    add_ended(report, &ended);
    let p99 = ours.percentile(99);
    for (row, value) in [
        ("3", ours.per_second() * seconds / 64.0),
        ("3.p99", p99 / (seconds * 1000.0)),
        ("3.p50", ours.percentile(50)),
        ("3.rate", ours.per_second()),
        ("3.cpu", ours.cpu_micros()),
        ("3.postgres", ours.postgres_micros()),
        ("3.flight", f64::from(u32::try_from(ended.most_in_flight)?)),
    ] {
        report.add(row, value, ours.seen.disturbed());
    }
    let wide = ends::end_many(stand, &stand.server, load_of(512, D, times)).await?;
    add_ended(report, &wide);
    let disturbed = wide.outcome.seen.disturbed();
    let rate = wide.outcome.per_second();
    report.add("3b", rate * seconds / 512.0, disturbed);
    report.add("3b.p99", wide.outcome.percentile(99), disturbed);
    report.add("3b.rate", rate, disturbed);
    Ok(ended.outcome)
}

/// The same with the deliveries of all events made beside it, by the same process.
async fn ends_with_deliveries(stand: &Stand, times: Times, report: &mut Report) -> Result<()> {
    let seconds = f64::from(u32::try_from(D)?) / 1000.0;
    let server = stand.whole().await?;
    let ended = ends::end_many(stand, &server, load_of(CLIENTS, 0, times)).await?;
    let ours = &ended.outcome;
    add_ended(report, &ended);
    for (row, value) in [
        ("2w.rate", ours.per_second()),
        ("2w.p99", ours.percentile(99)),
        ("2w.cpu", ours.cpu_micros()),
        ("2w.postgres", ours.postgres_micros()),
        ("2w.after", ended.delivered_after.as_secs_f64() * 1e3),
    ] {
        report.add(row, value, ours.seen.disturbed());
    }
    let ended = ends::end_many(stand, &server, load_of(64, D, times)).await?;
    let ours = &ended.outcome;
    add_ended(report, &ended);
    for (row, value) in [
        ("3w", ours.per_second() * seconds / 64.0),
        ("3w.p99", ours.percentile(99) / (seconds * 1000.0)),
        ("3w.rate", ours.per_second()),
        ("3w.after", ended.delivered_after.as_secs_f64() * 1e3),
    ] {
        report.add(row, value, ours.seen.disturbed());
    }
    server.running.end().await
}

fn add_ended(report: &mut Report, ended: &ends::Ended) {
    if let Some(complaint) = &ended.outcome.complaint {
        say(&format!(
            "  {} ends failed: {complaint}",
            ended.outcome.failed
        ));
    }
    report.add("ends.failed", f64::from(ended.outcome.failed), false);
    report.add("ends.hang_ups", ended.hang_ups_per_end, false);
}

fn load_of(clients: usize, delay_millis: u64, times: Times) -> Ends {
    let seconds = usize::try_from(times.end.as_secs()).unwrap_or_default() + 1;
    Ends {
        clients,
        delay_millis,
        duration: times.end,
        pool: seconds * ENDS_PER_SECOND,
    }
}

async fn starts(stand: &Stand, report: &mut Report) -> Result<()> {
    for _ in 0..STARTS {
        let watch = machine::Watch::start()?;
        let server = children::serve(&stand.environment).await?;
        let seen = watch.end()?;
        let took = server.started_in.as_secs_f64() * 1e3;
        server.running.end().await?;
        report.add("8", took, seen.disturbed());
    }
    Ok(())
}

async fn one_by_many(stand: &Stand, report: &mut Report) -> Result<()> {
    for _ in 0..ENDED_AT_ONCE {
        let once = ends::end_one(stand, AT_ONCE, D).await?;
        if once.hang_ups == 0 || once.ledger_rows == 0 || once.ended_deliveries == 0 {
            return Err("a call ended by many has no hang-up, ledger entry or event".into());
        }
        for (row, value) in [
            ("11.hang_ups", f64::from(u32::try_from(once.hang_ups)?)),
            ("11.ledger", f64::from(once.ledger_rows)),
            ("11.outbox", f64::from(once.ended_deliveries)),
            ("11.failed", f64::from(u32::try_from(once.failed)?)),
            ("11.took", once.took.as_secs_f64() * 1e3),
        ] {
            report.add(row, value, false);
        }
    }
    Ok(())
}

//! What is reported, and what must be reached.

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gate {
    AtLeast(f64),
    AtMost(f64),
    /// Told only.
    Reported,
}

/// One line of the report.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) gate: Gate,
}

const fn row(id: &'static str, what: &'static str, unit: &'static str, gate: Gate) -> Row {
    Row {
        id,
        what,
        unit,
        gate,
    }
}

use Gate::{AtLeast, AtMost, Reported};

/// Every row, in the order of the report.
pub(crate) const ROWS: &[Row] = &[
    row(
        "1",
        "list 50 of 1,000 ongoing, c=16: rate ÷ pgbench's",
        "ratio",
        AtLeast(0.15),
    ),
    row(
        "1b",
        "list: CPU of a request ÷ a bare answer's",
        "ratio",
        AtMost(28.0),
    ),
    row("1.rate", "list: rate", "1/s", Reported),
    row("1.pgbench", "list: rate of pgbench", "1/s", Reported),
    row("1.p50", "list: p50", "ms", Reported),
    row("1.p99", "list: p99", "ms", Reported),
    row("1.cpu", "list: CPU of the server", "µs", Reported),
    row("1.postgres", "list: CPU of PostgreSQL", "µs", Reported),
    row(
        "1.many",
        "list 50 of 20,000 ongoing: rate ÷ of 1,000",
        "ratio",
        Reported,
    ),
    row("hello.rate", "bare answer, c=16: rate", "1/s", Reported),
    row("hello.cpu", "bare answer: CPU", "µs", Reported),
    row(
        "2",
        "end, D=0, c=16: rate ÷ pgbench's in one statement",
        "ratio",
        AtLeast(0.10),
    ),
    row(
        "2.own",
        "end, D=0: rate ÷ pgbench's with our statements",
        "ratio",
        Reported,
    ),
    row("2.rate", "end, D=0: rate", "1/s", Reported),
    row(
        "2.pgbench",
        "end in one statement: rate of pgbench",
        "1/s",
        Reported,
    ),
    row(
        "2.pgbench_own",
        "end with our statements: rate of pgbench",
        "1/s",
        Reported,
    ),
    row("2.p50", "end, D=0: p50", "ms", Reported),
    row("2.p99", "end, D=0: p99", "ms", Reported),
    row("2.cpu", "end, D=0: CPU of the server", "µs", Reported),
    row("2.postgres", "end, D=0: CPU of PostgreSQL", "µs", Reported),
    row(
        "3",
        "end, D=50 ms, c=64: efficiency",
        "ratio",
        AtLeast(0.80),
    ),
    row("3.p99", "end, D=50 ms, c=64: p99 ÷ D", "ratio", AtMost(1.8)),
    row("3.p50", "end, D=50 ms, c=64: p50", "ms", Reported),
    row("3.rate", "end, D=50 ms, c=64: rate", "1/s", Reported),
    row(
        "3.cpu",
        "end, D=50 ms, c=64: CPU of the server",
        "µs",
        Reported,
    ),
    row(
        "3.postgres",
        "end, D=50 ms, c=64: CPU of PostgreSQL",
        "µs",
        Reported,
    ),
    row(
        "3.flight",
        "end, D=50 ms, c=64: most hang-ups in flight",
        "",
        Reported,
    ),
    row("3b", "end, D=50 ms, c=512: efficiency", "ratio", Reported),
    row("3b.p99", "end, D=50 ms, c=512: p99", "ms", Reported),
    row("3b.rate", "end, D=50 ms, c=512: rate", "1/s", Reported),
    row(
        "2w.rate",
        "as 2 with deliveries beside it: rate",
        "1/s",
        Reported,
    ),
    row("2w.p99", "… p99", "ms", Reported),
    row(
        "2w.cpu",
        "… CPU of the server, deliveries included",
        "µs",
        Reported,
    ),
    row(
        "2w.postgres",
        "… CPU of PostgreSQL, deliveries included",
        "µs",
        Reported,
    ),
    row(
        "2w.after",
        "… after the last end until all is delivered",
        "ms",
        Reported,
    ),
    row(
        "3w",
        "as 3 with deliveries beside it: efficiency",
        "ratio",
        Reported,
    ),
    row("3w.p99", "… p99 ÷ D", "ratio", Reported),
    row("3w.rate", "… rate", "1/s", Reported),
    row(
        "3w.after",
        "… after the last end until all is delivered",
        "ms",
        Reported,
    ),
    row(
        "ends.failed",
        "ends not answered with success",
        "",
        AtMost(0.0),
    ),
    row(
        "ends.hang_ups",
        "requests to hang up for each end",
        "",
        AtMost(1.0),
    ),
    row(
        "p.twilio",
        "an end at Twilio, evidence included: CPU of the server",
        "µs",
        Reported,
    ),
    row("p.telnyx", "… at Telnyx ÷ at Twilio", "ratio", AtMost(1.3)),
    row("p.vonage", "… at Vonage ÷ at Twilio", "ratio", AtMost(1.3)),
    row("p.sip", "… at jambonz ÷ at Twilio", "ratio", AtMost(1.3)),
    row("p.openai", "… at OpenAI ÷ at Twilio", "ratio", AtMost(1.3)),
    row(
        "4.list",
        "one account's provider hangs: others' lists, p99 ÷ p99 without it",
        "ratio",
        AtMost(1.5),
    ),
    row(
        "4.end",
        "… others' ends, p99 ÷ p99 without it",
        "ratio",
        AtMost(1.5),
    ),
    row("4.list_p99", "… others' lists, p99", "ms", Reported),
    row("4.end_p99", "… others' ends, p99", "ms", Reported),
    row(
        "4.list_rate",
        "… others' lists, rate ÷ rate without it",
        "ratio",
        Reported,
    ),
    row(
        "4.end_rate",
        "… others' ends, rate ÷ rate without it",
        "ratio",
        Reported,
    ),
    row(
        "4.pending",
        "… ends pending at the provider that hangs",
        "",
        Reported,
    ),
    row(
        "4.answered",
        "… of its ends, answered as under way",
        "",
        Reported,
    ),
    row(
        "10.late",
        "160 clients on 8 connections: answers later than D + 1 s",
        "",
        AtMost(0.0),
    ),
    row(
        "10.wrong",
        "… answers but 200, 429 and 503 with Retry-After",
        "",
        AtMost(0.0),
    ),
    row("10.refused", "… answers 429 and 503", "", Reported),
    row("10.slowest", "… the slowest answer", "ms", Reported),
    row(
        "10.recovery",
        "… until the next success afterwards",
        "ms",
        AtMost(1000.0),
    ),
    row("10.rate", "… rate", "1/s", Reported),
    row("10.memory", "… memory of the server", "MiB", Reported),
    row("7.idle", "memory after the start", "MiB", Reported),
    row("7.after", "memory after this round", "MiB", Reported),
    row(
        "8",
        "start to the first answer, schema current",
        "ms",
        AtMost(150.0),
    ),
    row("9.list", "statements for a list", "", AtMost(2.0)),
    row("9.end", "statements for an end", "", AtMost(4.0)),
    row("9.writes", "writes for a list", "", AtMost(0.0)),
    row(
        "9.deliveries",
        "statements for the deliveries of an end's events",
        "",
        Reported,
    ),
    row(
        "11.hang_ups",
        "one call ended by 64 at once: hang-ups",
        "",
        AtMost(1.0),
    ),
    row("11.ledger", "… ledger entries", "", AtMost(1.0)),
    row(
        "11.outbox",
        "… ended events for its endpoint",
        "",
        AtMost(1.0),
    ),
    row(
        "11.failed",
        "… answers that are no success",
        "",
        AtMost(0.0),
    ),
    row(
        "11.took",
        "… until the last of 64 answers, D=50 ms",
        "ms",
        Reported,
    ),
    row(
        "16.worst",
        "another tenant's id against nobody's: difference of the medians, worst operation",
        "%",
        AtMost(5.0),
    ),
    row("16.operations", "… operations compared", "", AtLeast(10.0)),
    row(
        "17",
        "lists while a hundred log in: p99 ÷ without them",
        "ratio",
        AtMost(2.0),
    ),
    row("17.p99", "… p99", "ms", Reported),
    row("17.without", "… p99 without", "ms", Reported),
    row("17.rate", "… rate ÷ without", "ratio", Reported),
    row("17.failed", "… lists that failed", "", AtMost(0.0)),
    row("17.logins", "… logins", "1/s", Reported),
    row("17.overloaded", "… logins turned away", "", Reported),
    row("webhooks", "events delivered", "", Reported),
    row(
        "others",
        "processors used by others, most of this round",
        "share",
        Reported,
    ),
];

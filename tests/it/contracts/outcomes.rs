//! The suite: every row against every provider, through the real adapter and the simulated
//! provider; and what has to hold whatever the column says.
//!
//! That is: an outcome that counts as evidence is true, asking again ends the call and ends it
//! once, and a dial whose outcome is unknown is found exactly if it was carried out.

use std::sync::Arc;

use onhook::{
    ambient::Tasks,
    cli::terminal,
    domain::{
        CallId,
        provider::{
            DialOutcome, FetchOutcome, HangUpOutcome, LookupOutcome, Observation, Progress,
            ProviderKind,
        },
    },
};
use serde_json::{Value, json};
use strum::VariantArray as _;
use tokio::sync::Semaphore;

use super::{
    columns::{NOT_ASKED, column},
    rig::{Adapters, Rig},
    rows::{Question, Row, Stage, Trouble},
};
use crate::support::wait::wait_for;

/// How many cells are filled at once: timeouts overlap, and a request still arrives in time.
const AT_ONCE: usize = 12;

/// Later than anybody waits.
const TOO_LATE_MS: u64 = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_providers_adapter_makes_of_each_outcome_what_its_column_says() {
    let adapters = Arc::new(Adapters::new());
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let tasks = Tasks::default();
    let mut cells = Vec::new();
    for row in Row::VARIANTS {
        for provider in ProviderKind::VARIANTS {
            let (adapters, places) = (Arc::clone(&adapters), Arc::clone(&places));
            let made = tasks.spawn(async move {
                let _place = places.acquire().await;
                run(adapters, *provider, *row).await
            });
            cells.push((*row, *provider, made));
        }
    }
    let mut made = Vec::new();
    for (row, provider, cell) in cells {
        let seen = cell
            .await
            .unwrap_or_else(|failure| panic!("{}, {}: {failure}", provider.as_str(), row.name()));
        made.push((row, provider, seen));
    }
    if std::env::var_os("ONHOOK_PRINT_TABLE").is_some() {
        // The harness may have begun a line of its own.
        terminal::say(&format!("\n{}", table(&made)));
    }
    let wrong: Vec<String> = made
        .iter()
        .filter(|(row, provider, seen)| seen != column(*provider, *row))
        .map(|(row, provider, seen)| {
            let (provider_name, expected) = (provider.as_str(), column(*provider, *row));
            format!("{provider_name}, {}: {seen}, not {expected}", row.name())
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// As Markdown: a column for each provider, a row for each row.
fn table(made: &[(Row, ProviderKind, String)]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let names = ProviderKind::VARIANTS
        .iter()
        .map(|provider| provider.as_str().to_owned());
    let head: Vec<String> = std::iter::once("outcome".to_owned()).chain(names).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let mut lines = vec![line(head), line(rule)];
    for row in Row::VARIANTS {
        let of_row = made.iter().filter(|(of, ..)| of == row);
        let cells = of_row.map(|(row, provider, seen)| {
            let expected = column(*provider, *row);
            if seen == NOT_ASKED {
                seen.clone()
            } else if seen == expected {
                format!("✅ {seen}")
            } else {
                format!("❌ {seen}, expected {expected}")
            }
        });
        lines.push(line(
            std::iter::once(row.name().to_owned())
                .chain(cells)
                .collect(),
        ));
    }
    lines.join("\n")
}

/// What the adapter of `provider` makes of `row`.
async fn run(adapters: Arc<Adapters>, provider: ProviderKind, row: Row) -> String {
    if column(provider, row) == NOT_ASKED {
        return NOT_ASKED.to_owned();
    }
    let mut rig = Rig::start(adapters, provider).await;
    if let Some(change) = row.script() {
        rig.script(&change).await;
    }
    let seen = match row.question() {
        Question::HangUp(stage) => hang_up(&mut rig, row, stage).await,
        Question::Dial => dial(&mut rig, row).await,
        Question::Fetch(stage) => {
            let call = call_at(&rig, stage).await;
            trouble(&mut rig, row, "fetch").await;
            fetched(&rig.fetch(&call).await.outcome)
        }
        Question::Find { alike } => find(&mut rig, row, alike).await,
    };
    rig.stop();
    seen
}

async fn call_at(rig: &Rig, stage: Stage) -> String {
    match stage {
        Stage::Unknown => rig.face.unknown_call.to_owned(),
        Stage::Queued => rig.place().await,
        Stage::Answered => rig.place_answered().await,
        Stage::Ringing => {
            rig.script(&json!({"ring_after_ms": 0})).await;
            let call = rig.place().await;
            let rings = |seen: &Value| seen["state"] == "ringing";
            wait_for("ringing", || rig.at_provider(&call), rings).await;
            call
        }
        Stage::Over => {
            let call = rig.place_answered().await;
            // Some show whole seconds only, and a conversation of none as none.
            let spoken = |seen: &time::Duration| *seen > time::Duration::seconds(1);
            let answered_at = rig.now();
            let lasts = || async { rig.now().since(answered_at) };
            wait_for("a conversation", lasts, spoken).await;
            rig.party(&call, "hangup").await;
            call
        }
    }
}

/// Lets the next `operation` meet what the row has for it.
async fn trouble(rig: &mut Rig, row: Row, operation: &str) {
    match row.trouble() {
        Trouble::None => {}
        Trouble::Fault(how) => rig.fault(operation, &how).await,
        Trouble::Timeout => {
            let how = json!({"delay_ms": TOO_LATE_MS, "when": "after"});
            rig.fault(operation, &how).await;
            rig.hurry();
        }
        Trouble::NoConnection => {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let nobody = listener.local_addr().unwrap();
            drop(listener);
            rig.through(&format!("http://{nobody}"));
        }
    }
}

fn no_more_trouble(rig: &mut Rig) {
    rig.be_patient();
    let api = rig.api.clone();
    rig.through(&api);
}

async fn hang_up(rig: &mut Rig, row: Row, stage: Stage) -> String {
    let call = call_at(rig, stage).await;
    trouble(rig, row, "hangup").await;
    let outcome = rig.hang_up(&call).await.outcome;
    let over = |seen: &Value| !seen["ended_at"].is_null();
    let proves = matches!(
        outcome,
        HangUpOutcome::Ended(_) | HangUpOutcome::AlreadyOver
    );
    if proves {
        let seen = rig.at_provider(&call).await;
        assert!(over(&seen), "{outcome:?} is not true: {seen}");
    }
    no_more_trouble(rig);
    let again = rig.hang_up(&call).await.outcome;
    if stage == Stage::Unknown {
        assert_eq!(again, HangUpOutcome::NotFound);
        return hung_up(&outcome);
    }
    let taken = is_taken(rig, &call, &again).await;
    assert!(taken, "asked again: {again:?}");
    let seen = wait_for("the call's end", || rig.at_provider(&call), over).await;
    let times = u64::from(stage != Stage::Over);
    assert_eq!(seen["hangups_carried_out"], times, "{seen}");
    hung_up(&outcome)
}

/// Whether a hang-up that was asked again has ended `call`, or found it over.
async fn is_taken(rig: &Rig, call: &str, again: &HangUpOutcome) -> bool {
    match again {
        HangUpOutcome::Ended(_) | HangUpOutcome::AlreadyOver | HangUpOutcome::Accepted => true,
        // Where a call that is over is refused like one that never was, reading it tells.
        HangUpOutcome::NotFound => matches!(
            rig.fetch(call).await.outcome,
            FetchOutcome::Found(Observation {
                progress: Progress::Ended { .. },
                ..
            })
        ),
        HangUpOutcome::Retry { .. } | HangUpOutcome::Refused => false,
    }
}

async fn dial(rig: &mut Rig, row: Row) -> String {
    let since = rig.now();
    trouble(rig, row, "create").await;
    let (call_id, answered) = rig.dial().await;
    no_more_trouble(rig);
    let placed = rig.calls_placed().await;
    match &answered.outcome {
        DialOutcome::Placed(observation) => {
            assert_eq!(placed, 1);
            let seen = rig.at_provider(&observation.provider_call_id).await;
            assert_eq!(seen["state"], "queued");
        }
        DialOutcome::NotSent { .. } | DialOutcome::Refused { .. } => assert_eq!(placed, 0),
        DialOutcome::Unknown => {
            let found = looked_up(&rig.find(call_id, since).await.outcome);
            assert_eq!(found, if placed == 1 { "Found" } else { "Nothing" });
            assert!(placed <= 1);
        }
    }
    dialled(&answered.outcome)
}

async fn find(rig: &mut Rig, row: Row, alike: u8) -> String {
    let since = rig.now();
    let mut sought = CallId(uuid::Uuid::nil());
    for _ in 0..alike {
        let (call_id, answered) = rig.dial().await;
        assert!(matches!(answered.outcome, DialOutcome::Placed(_)));
        sought = call_id;
    }
    trouble(rig, row, "list").await;
    looked_up(&rig.find(sought, since).await.outcome)
}

// In a table's words

fn hung_up(outcome: &HangUpOutcome) -> String {
    match outcome {
        HangUpOutcome::Ended(observation) => {
            assert!(matches!(observation.progress, Progress::Ended { .. }));
            "Ended".to_owned()
        }
        HangUpOutcome::Accepted => "Accepted".to_owned(),
        HangUpOutcome::AlreadyOver => "AlreadyOver".to_owned(),
        HangUpOutcome::NotFound => "NotFound".to_owned(),
        HangUpOutcome::Retry { after } => timed("Retry", "", *after),
        HangUpOutcome::Refused => "Refused".to_owned(),
    }
}

fn dialled(outcome: &DialOutcome) -> String {
    match outcome {
        DialOutcome::Placed(_) => "Placed".to_owned(),
        DialOutcome::NotSent { after } => timed("NotSent", ",", *after),
        DialOutcome::Unknown => "Unknown".to_owned(),
        DialOutcome::Refused { reason } => format!("Refused: {}", reason.as_str()),
    }
}

fn fetched(outcome: &FetchOutcome) -> String {
    match outcome {
        FetchOutcome::Found(observation) => format!("Found: {}", progress(observation)),
        FetchOutcome::NotFound => "NotFound".to_owned(),
        FetchOutcome::Unavailable { after } => timed("Unavailable", ",", *after),
        FetchOutcome::Refused => "Refused".to_owned(),
        FetchOutcome::Unsupported => "Unsupported".to_owned(),
    }
}

fn looked_up(outcome: &LookupOutcome) -> String {
    match outcome {
        LookupOutcome::Found(_) => "Found".to_owned(),
        LookupOutcome::Nothing => "Nothing".to_owned(),
        LookupOutcome::Ambiguous(several) => format!("Ambiguous: {several}"),
        LookupOutcome::Unavailable { after } => timed("Unavailable", ",", *after),
    }
}

fn progress(observation: &Observation) -> &'static str {
    match &observation.progress {
        Progress::Placed => "placed",
        Progress::Ringing => "ringing",
        Progress::Answered => "answered",
        Progress::Ended { status, .. } => status.as_str(),
    }
}

fn timed(word: &str, mark: &str, after: Option<time::Duration>) -> String {
    match after {
        Some(after) => format!("{word}{mark} after {} s", after.whole_seconds()),
        None => word.to_owned(),
    }
}

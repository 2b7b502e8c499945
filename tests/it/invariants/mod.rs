//! The audit finds nothing on sound data, and every breach that can be made.
//!
//! The data is written as the application writes it; each breach is made by the schema's owner,
//! with the constraint in its way dropped first.

mod breaches;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use onhook::{
    db::{
        self, Db, Options,
        calls::{AuditRow, Effects, JobRow},
        invariants,
    },
    domain::{
        AgentId, AuditEntryId, CallId, JobId, LedgerEntryId, OrgScope, OrganizationId,
        ProviderAccountId, RateCardId, Timestamp,
        billing::Rate,
        call::{
            self, Call, CallStatus, Change, Decision, DialState, Direction, EndReason, Input,
            Limits, Metadata,
        },
        provider::{DialOutcome, HangUpOutcome, Observation, Progress, ProviderKind, Source},
    },
};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use self::breaches::BREACHES;
use crate::support::{
    database::{self, TestDatabase},
    wait::wait_for,
};

/// What calls belong to: an organisation long before the calls, with an endpoint for all events.
const FOUNDATION: &str = include_str!("foundation.sql");

const OPERATIONS: &str = include_str!("../../../docs/operations.md");

const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(1));

/// Checks that depend on the server's own time and statistics, which no statement can forge.
const NOT_FORGED: [&str; 2] = [SESSIONS, "queues_are_vacuumed"];

const SESSIONS: &str = "no_session_idles_in_a_transaction";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000 + seconds * 1000)
}

/// A database with one organisation and a call in every kind of state, the newest change at 40 s.
struct Sound {
    database: TestDatabase,
    db: Db,
    /// The next identifier.
    next: u128,
}

impl Sound {
    async fn new() -> Self {
        let database = database::fresh().await;
        let mut owner = database.as_owner().await;
        sqlx::raw_sql(FOUNDATION).execute(&mut owner).await.unwrap();
        owner.close().await.unwrap();
        let patient = Options {
            acquire_timeout: Duration::from_secs(30),
            ..Options::default()
        };
        let db = Db::new(&database.url, &patient).unwrap();
        let mut sound = Self {
            database,
            db,
            next: 1000,
        };
        sound.write_calls_that_are_over().await;
        sound.write_live_calls().await;
        sound
    }

    async fn write_calls_that_are_over(&mut self) {
        let wished = self.talking("CA1", false).await;
        let wished = self.wish(wished).await;
        self.end(wished, "CA1").await;
        for (sid, test) in [("CA2", false), ("CA3", true)] {
            let talking = self.talking(sid, test).await;
            self.end(talking, sid).await;
        }
        let queued = self.create(DialState::Queued, false).await;
        self.wish(queued).await;
    }

    async fn write_live_calls(&mut self) {
        self.create(DialState::Queued, false).await;
        let in_flight = self.create(DialState::InFlight, false).await;
        self.wish(in_flight).await;
        for (sid, outcome) in [
            ("CA4", HangUpOutcome::Accepted),
            ("CA5", HangUpOutcome::Refused),
        ] {
            let talking = self.talking(sid, false).await;
            let wished = self.wish(talking).await;
            self.hung_up(wished, &outcome).await;
        }
        self.talking("CA6", false).await;
    }

    fn id(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    fn effects(&mut self, change: &Change, seconds: i64) -> Effects {
        let mut effects = Effects::at(at(seconds), LedgerEntryId(self.id()));
        effects.jobs = change
            .jobs
            .iter()
            .map(|kind| JobRow {
                id: JobId(self.id()),
                kind: *kind,
                due_at: at(40),
                attempt: 1,
                lease: None,
            })
            .collect();
        effects
    }

    async fn create(&mut self, dial: DialState, test: bool) -> Call {
        let change = call::start(new_call(CallId(self.id()), dial, test));
        let effects = self.effects(&change, 0);
        let scope = OrgScope::assume(ORGANIZATION);
        db::calls::create(&self.db, scope, &change, &effects)
            .await
            .unwrap();
        change.call
    }

    async fn talking(&mut self, sid: &str, test: bool) -> Call {
        let call = self.create(DialState::InFlight, test).await;
        let placed = DialOutcome::Placed(observation(sid, Progress::Placed, 1));
        let placed = Input::DialAnswered {
            outcome: &placed,
            attempt: 1,
        };
        let call = self.change(call, &placed, 1).await;
        let ringing = observation(sid, Progress::Ringing, 2);
        let call = self.change(call, &Input::Observed(&ringing), 2).await;
        let answered = observation(sid, Progress::Answered, 10);
        self.change(call, &Input::Observed(&answered), 10).await
    }

    async fn wish(&mut self, call: Call) -> Call {
        let wish = Input::End {
            reason: EndReason::EndedByApi,
            initiator: "token:1",
            note: None,
        };
        self.change(call, &wish, 20).await
    }

    async fn end(&mut self, call: Call, sid: &str) {
        let over = observation(sid, completed(), 22);
        self.change(call, &Input::Observed(&over), 25).await;
    }

    async fn hung_up(&mut self, call: Call, outcome: &HangUpOutcome) -> Call {
        let retry_at = at(50);
        self.change(call, &Input::HungUp { outcome, retry_at }, 21)
            .await
    }

    async fn change(&mut self, call: Call, input: &Input<'_>, seconds: i64) -> Call {
        let Decision::Change(change) = call::decide(&call, input, at(seconds)) else {
            panic!("{input:?} changes nothing");
        };
        let mut effects = self.effects(&change, seconds);
        if matches!(input, Input::End { .. }) {
            effects.audit = Some(AuditRow {
                id: AuditEntryId(self.id()),
                actor: "token:1".to_owned(),
                action: "call.end",
                address: None,
                request_id: None,
                detail: json!({}),
            });
        }
        let scope = OrgScope::assume(ORGANIZATION);
        assert!(
            db::calls::apply(&self.db, scope, &change, &effects)
                .await
                .unwrap()
        );
        change.call
    }

    /// Changes the data as nothing in the application can.
    async fn breach(&self, statements: &'static str) {
        let mut owner = self.database.as_owner().await;
        // Neither triggers nor foreign keys stand in the way of a replica.
        for part in ["SET session_replication_role = replica", statements] {
            let done = sqlx::raw_sql(part).execute(&mut owner).await;
            done.unwrap_or_else(|error| panic!("{part}: {error}"));
        }
        owner.close().await.unwrap();
    }

    async fn broken(&self) -> Vec<(&'static str, Vec<String>)> {
        let results = invariants::run(&self.db, at(45)).await.unwrap();
        results
            .into_iter()
            .filter(|(_, offenders)| !offenders.is_empty())
            .map(|(check, offenders)| (check.name, offenders))
            .collect()
    }
}

fn new_call(id: CallId, dial: DialState, test: bool) -> Call {
    Call {
        organization_id: ORGANIZATION,
        id,
        agent_id: AgentId(Uuid::from_u128(2)),
        provider: ProviderKind::Twilio,
        provider_account_id: ProviderAccountId(Uuid::from_u128(3)),
        provider_call_id: None,
        provider_host: None,
        version: 1,
        last_sequence: 0,
        status: CallStatus::Initiating,
        direction: Direction::Outbound,
        from: "+12025550100".parse().unwrap(),
        to: "+12025550101".parse().unwrap(),
        client_reference: None,
        metadata: Metadata::from(&json!({})),
        test,
        limits: Limits::default(),
        dial,
        dial_started_at: (dial == DialState::InFlight).then_some(at(0)),
        created_at: at(0),
        ringing_at: None,
        answered_at: None,
        ended_at: None,
        ended_reason: None,
        ended_side: None,
        provider_cause: None,
        wish: None,
        rate: Some(Rate {
            rate_card_id: RateCardId(Uuid::from_u128(4)),
            currency: "USD".to_owned(),
            price_micros: 14_000,
            price_seconds: 60,
            increment_seconds: 7,
            minimum_seconds: 3,
        }),
        cost: None,
        heard_at: at(0),
    }
}

fn completed() -> Progress {
    Progress::Ended {
        status: CallStatus::Completed,
        connected_seconds: None,
        reason: None,
        cause: Value::Null,
    }
}

fn observation(sid: &str, progress: Progress, seconds: i64) -> Observation {
    Observation {
        provider_call_id: sid.to_owned(),
        progress,
        at: Some(at(seconds)),
        source: Source::Callback,
        host: None,
    }
}

#[tokio::test]
async fn sound_data_breaks_no_invariant() {
    assert_eq!(Sound::new().await.broken().await, []);
}

#[tokio::test]
async fn every_breach_is_found_by_its_check_and_no_other() {
    let mut breaches = JoinSet::new();
    let few = Arc::new(Semaphore::new(4));
    for (statements, expected) in BREACHES {
        let few = Arc::clone(&few);
        breaches.spawn(async move {
            let _permit = few.acquire().await.unwrap();
            let sound = Sound::new().await;
            sound.breach(statements).await;
            let mut broken = sound.broken().await;
            broken.sort_unstable();
            let as_expected = broken.iter().map(|(name, _)| name).eq(expected);
            (!as_expected).then(|| format!("{statements}\n  {broken:#?}"))
        });
    }
    let wrong: Vec<String> = breaches.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_check_has_a_breach_that_it_finds_and_a_line_in_the_documentation() {
    let sound = Sound::new().await;
    let checks = invariants::run(&sound.db, at(45)).await.unwrap();
    let checks: BTreeSet<_> = checks.iter().map(|(check, _)| check.name).collect();
    for name in &checks {
        assert!(OPERATIONS.contains(&format!("\n| `{name}` | ")), "{name}");
    }
    let found = BREACHES.iter().flat_map(|(_, names)| *names).copied();
    assert_eq!(checks, found.chain(NOT_FORGED).collect());
}

#[tokio::test]
async fn a_session_that_idles_in_a_transaction_is_found() {
    let sound = Sound::new().await;
    let mut idle = sound.database.as_owner().await;
    sqlx::raw_sql("BEGIN").execute(&mut idle).await.unwrap();
    wait_for(
        "the check to find the session",
        || sound.broken(),
        |broken| broken.iter().any(|(name, _)| *name == SESSIONS),
    )
    .await;
    idle.close().await.unwrap();
}

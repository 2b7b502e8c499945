//! The audit finds nothing on sound data, and every breach that can be made.
//!
//! The data is written as the application writes it; each breach is made by the schema's owner,
//! with the constraint in its way dropped first.

use std::collections::BTreeSet;

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
            Limits,
        },
        provider::{DialOutcome, HangUpOutcome, Observation, Progress, ProviderKind, Source},
    },
};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::database::{self, TestDatabase};

/// What calls belong to: an organisation long before the calls, with an endpoint for all events.
const FOUNDATION: &str = include_str!("invariants_foundation.sql");

const ORGANIZATION: OrganizationId = OrganizationId(Uuid::from_u128(1));

/// Checks that depend on the server's own time or its statistics, which no statement can forge.
const NOT_FORGED: [&str; 2] = ["no_session_idles_in_a_transaction", "queues_are_vacuumed"];

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
        let db = Db::new(&database.url, &Options::default()).unwrap();
        let mut sound = Self {
            database,
            db,
            next: 1000,
        };
        sound.write_calls().await;
        sound
    }

    async fn write_calls(&mut self) {
        let wished_and_over = self.talking("CA1", false).await;
        let wished_and_over = self.wish(wished_and_over).await;
        let over = observation("CA1", completed(), 25);
        self.change(wished_and_over, &Input::Observed(&over), 25)
            .await;

        let over_by_itself = self.talking("CA2", false).await;
        let over = observation("CA2", completed(), 22);
        self.change(over_by_itself, &Input::Observed(&over), 25)
            .await;

        let test = self.talking("CA3", true).await;
        let over = observation("CA3", completed(), 22);
        self.change(test, &Input::Observed(&over), 25).await;

        let queued = self.create(DialState::Queued, false).await;
        self.wish(queued).await;
        self.create(DialState::Queued, false).await;
        let in_flight = self.create(DialState::InFlight, false).await;
        self.wish(in_flight).await;

        let ending = self.talking("CA4", false).await;
        let ending = self.wish(ending).await;
        self.hung_up(ending, &HangUpOutcome::Accepted).await;
        let failed = self.talking("CA5", false).await;
        let failed = self.wish(failed).await;
        self.hung_up(failed, &HangUpOutcome::Refused).await;
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
        version: 1,
        last_sequence: 0,
        status: CallStatus::Initiating,
        direction: Direction::Outbound,
        from: "+12025550100".parse().unwrap(),
        to: "+12025550101".parse().unwrap(),
        client_reference: None,
        metadata: json!({}),
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
    }
}

/// What is done to the data, and the checks that must notice.
const BREACHES: [(&str, &[&str]); 29] = [
    (
        "ALTER TABLE calls DROP CONSTRAINT calls_live_has_no_end;
        UPDATE calls SET ended_side = 'local' WHERE provider_call_id = 'CA6'",
        &["a_call_that_is_over_is_whole"],
    ),
    (
        "ALTER TABLE calls DROP CONSTRAINT calls_times_in_order;
        UPDATE calls SET answered_at = created_at - interval '1 second' WHERE provider_call_id = 'CA6'",
        &["a_call_that_is_over_is_whole"],
    ),
    (
        "ALTER TABLE calls DROP CONSTRAINT calls_billable_within_call;
        UPDATE calls SET billable_millis = 10001 WHERE provider_call_id = 'CA1';
        UPDATE ledger_entries SET billable_millis = 10001
        WHERE call_id = (SELECT id FROM calls WHERE provider_call_id = 'CA1')",
        &["a_call_that_is_over_is_whole", "nobody_pays_past_the_wish"],
    ),
    (
        "UPDATE call_facts SET type = 'event_phone_call_error' WHERE type = 'event_phone_call_ended'",
        &["a_call_ends_once"],
    ),
    (
        "UPDATE call_facts SET type = 'event_phone_call_ended' WHERE type = 'event_phone_call_connected'
            AND call_id = (SELECT id FROM calls WHERE provider_call_id = 'CA6')",
        &["a_call_ends_once", "an_event_is_queued_for_its_endpoints"],
    ),
    (
        "UPDATE call_facts SET data = jsonb_set(data, '{call,ended_reason}', '\"busy\"')
        WHERE type = 'event_phone_call_ended'",
        &["the_ended_event_tells_the_call"],
    ),
    (
        "UPDATE call_facts SET data = jsonb_set(data, '{call,ended_at}', '\"2027-01-15T08:00:20.001Z\"')
        WHERE type = 'event_phone_call_ended'",
        &["the_ended_event_tells_the_call"],
    ),
    (
        "DELETE FROM call_facts WHERE type = 'event_phone_call_billed'",
        &["events_are_numbered_densely"],
    ),
    (
        "UPDATE call_facts SET sequence = 7 WHERE type = 'event_phone_call_billed'
            AND call_id = (SELECT id FROM calls WHERE provider_call_id = 'CA2')",
        &["an_event_is_queued_for_its_endpoints", "events_are_numbered_densely"],
    ),
    (
        "UPDATE call_facts SET from_status = 'ringing' WHERE type = 'event_phone_call_ringing'",
        &["events_are_a_chain_of_legal_moves"],
    ),
    (
        "UPDATE calls SET status = 'ringing' WHERE provider_call_id = 'CA6'",
        &["events_are_a_chain_of_legal_moves"],
    ),
    (
        "UPDATE calls SET wish_reason = 'admin_cancel' WHERE provider_call_id = 'CA4'",
        &["a_wish_keeps_its_promise"],
    ),
    (
        "DELETE FROM jobs WHERE kind = 'hang_up_call'",
        &["a_wish_is_carried_out"],
    ),
    (
        "UPDATE call_facts SET data = data - 'error'",
        &["a_wish_is_carried_out"],
    ),
    (
        "DELETE FROM jobs WHERE call_id IN (SELECT id FROM calls WHERE dial_state = 'in_flight')",
        &["a_dial_is_seen_to", "a_wish_is_carried_out"],
    ),
    (
        "DELETE FROM jobs WHERE call_id IN (SELECT id FROM calls WHERE dial_state = 'queued')",
        &["a_dial_is_seen_to"],
    ),
    (
        "INSERT INTO jobs (organization_id, id, kind, call_id, due_at, created_at)
        SELECT organization_id, gen_random_uuid(), 'dial_call', id, created_at + interval '40 seconds', created_at - interval '1 hour'
        FROM calls WHERE provider_call_id = 'CA2'",
        &["a_call_that_is_over_has_no_job"],
    ),
    ("DELETE FROM audit_entries", &["a_wish_is_in_the_audit_log"]),
    ("DELETE FROM ledger_entries", &["a_call_is_billed_once"]),
    (
        "INSERT INTO ledger_entries
        SELECT organization_id, gen_random_uuid(), 'usage', id, 'call_time', rate_card_id, rate_currency,
            billable_millis, billed_seconds, amount_micros, created_at
        FROM calls WHERE test",
        &["a_call_is_billed_once"],
    ),
    (
        "UPDATE ledger_entries SET amount_micros = amount_micros + 1",
        &["the_price_is_the_pinned_rates"],
    ),
    (
        "UPDATE calls SET rate_price_micros = 1 WHERE provider_call_id = 'CA6'",
        &["the_price_is_the_pinned_rates"],
    ),
    (
        "INSERT INTO ledger_entries
        SELECT organization_id, gen_random_uuid(), 'correction', id, 'call_time', rate_card_id, rate_currency,
            0, 0, -1, created_at
        FROM calls WHERE provider_call_id = 'CA6'",
        &["a_correction_corrects_something"],
    ),
    (
        "DELETE FROM webhook_deliveries WHERE sequence = 1",
        &["an_event_is_queued_for_its_endpoints"],
    ),
    (
        "UPDATE webhook_deliveries
        SET state = 'delivered', due_at = NULL, closed_at = created_at, lease = gen_random_uuid()",
        &["a_delivery_is_due_or_done"],
    ),
    (
        "UPDATE jobs SET lease = gen_random_uuid(), due_at = '2100-01-01Z';
        UPDATE webhook_deliveries SET due_at = '2020-01-01Z'",
        &["leases_run_out", "nothing_due_waits"],
    ),
    (
        "INSERT INTO idempotency_keys (organization_id, route, key, token_id, request_hash, created_at)
        SELECT organization_id, 'calls', 'key', gen_random_uuid(), '', '2026-01-01Z' FROM organizations;
        INSERT INTO callback_receipts (organization_id, provider_account_id, receipt_key, state, received_at, body)
        SELECT organization_id, id, 'key', 'parked', '2026-01-01Z', '{}' FROM provider_accounts",
        &["a_report_finds_its_call", "an_idempotency_key_gets_its_answer"],
    ),
    (
        "CREATE UNIQUE INDEX ON calls (id)",
        &["a_tenants_keys_begin_with_the_organization"],
    ),
    (
        "GRANT UPDATE ON call_facts TO onhook_application",
        &["history_is_only_added_to"],
    ),
];

#[tokio::test]
async fn sound_data_breaks_no_invariant() {
    assert_eq!(Sound::new().await.broken().await, []);
}

#[tokio::test]
async fn every_breach_is_found_by_its_check_and_no_other() {
    let mut breaches = JoinSet::new();
    for (statements, expected) in BREACHES {
        breaches.spawn(async move {
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
async fn every_check_has_a_breach_that_it_finds() {
    let sound = Sound::new().await;
    let checks = invariants::run(&sound.db, at(45)).await.unwrap();
    let checks: BTreeSet<_> = checks.iter().map(|(check, _)| check.name).collect();
    let found = BREACHES.iter().flat_map(|(_, names)| *names).copied();
    assert_eq!(checks, found.chain(NOT_FORGED).collect());
}

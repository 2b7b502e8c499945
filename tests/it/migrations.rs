//! The schema, and what the database itself refuses: the walls behind the application's own checks.
//!
//! What the application does with the schema is tested with `src/db`.

use std::{collections::BTreeSet, path::Path};

use onhook::db::migrate;
use sqlx::PgConnection;

use crate::support::database::{self, Refusal, TestDatabase, run};

const CHECK_VIOLATION: &str = "23514";
const INSUFFICIENT_PRIVILEGE: &str = "42501";
const UNIQUE_VIOLATION: &str = "23505";

/// Organisation 1 has one row in every table, organisation 2 has nothing. The call rings.
const SEED: &str = include_str!("support/one_of_everything.sql");

async fn seeded() -> (TestDatabase, PgConnection) {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;
    run(&mut owner, SEED).await.unwrap();
    (database, owner)
}

/// Runs a statement that must be refused.
async fn refused(connection: &mut PgConnection, statement: &'static str) -> Refusal {
    match run(connection, statement).await {
        Ok(()) => panic!("not refused: {statement}"),
        Err(refusal) => refusal,
    }
}

async fn strings(connection: &mut PgConnection, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query)
        .fetch_all(connection)
        .await
        .unwrap()
}

// Applying

/// Columns, constraints, indexes, functions and privileges, one line each.
const SCHEMA: &str = "
    SELECT concat_ws(' ', 'column', table_name, column_name, data_type, column_default, is_nullable)
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT concat_ws(' ', 'function', oid::regprocedure, md5(prosrc), proacl)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'privileges', relname, relacl)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    UNION ALL
    SELECT concat_ws(' ', 'migration', version, description, installed_on, encode(checksum, 'hex'))
    FROM _sqlx_migrations WHERE success
    ORDER BY 1";

#[tokio::test]
async fn all_migrations_apply_to_an_empty_database_and_a_second_run_changes_nothing() {
    let database = database::empty().await;

    migrate::run(&database.url).await.unwrap();

    let mut owner = database.as_owner().await;
    let once = strings(&mut owner, SCHEMA).await;
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = std::fs::read_dir(files).unwrap().count();
    let applied = once.iter().filter(|line| line.starts_with("migration "));
    assert_eq!(applied.count(), files);

    migrate::run(&database.url).await.unwrap();

    assert_eq!(strings(&mut owner, SCHEMA).await, once);
}

#[tokio::test]
async fn nodes_that_migrate_at_the_same_moment_take_turns() {
    let database = database::empty().await;

    let (one, other) = tokio::join!(migrate::run(&database.url), migrate::run(&database.url));

    one.unwrap();
    other.unwrap();
    let mut owner = database.as_owner().await;
    let expected = strings(&mut database::fresh().await.as_owner().await, TABLES).await;
    assert_eq!(strings(&mut owner, TABLES).await, expected);
    assert!(expected.iter().any(|table| table == "calls"));
}

// Tenants

const TABLES: &str = "
    SELECT relname::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    ORDER BY 1";

/// Tables that hold no tenant's rows.
/// People belong to several organisations; so do their sessions and mails to none.
const OF_NO_TENANT: [&str; 9] = [
    "_sqlx_migrations",
    "access_token_keys",
    "audit_sealing",
    "mail_links",
    "mails",
    "people",
    "refresh_tokens",
    "sessions",
    "throttles",
];

/// What is wrong with the keys of tables that have an `organization_id`. An index that is unique
/// without a constraint is a key too.
const KEYS_WITHOUT_ORGANIZATION: &str = "
    WITH tenant_tables AS (
        SELECT c.oid, c.relname, a.attnum, a.attnotnull
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    )
    SELECT relname || ': organization_id may be null' FROM tenant_tables WHERE NOT attnotnull
    UNION ALL
    SELECT relname || ': no primary key' FROM tenant_tables t
    WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)
    UNION ALL
    SELECT t.relname || ': ' || i.indexrelid::regclass || ' begins with another column'
    FROM tenant_tables t
    JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique AND i.indkey[0] <> t.attnum
    UNION ALL
    SELECT t.relname || ': ' || k.conname || ' does not lead with organization_id on both sides'
    FROM tenant_tables t
    JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'f'
    LEFT JOIN tenant_tables parent ON parent.oid = k.confrelid
    -- A person is no tenant's, so a reference to one cannot lead with an organisation.
    WHERE (k.conkey[1] <> t.attnum OR k.confkey[1] IS DISTINCT FROM parent.attnum)
        AND k.confrelid <> 'people'::regclass
    ORDER BY 1";

#[tokio::test]
async fn every_key_of_a_tenants_table_begins_with_the_organization() {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;

    let wrong = strings(&mut owner, KEYS_WITHOUT_ORGANIZATION).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let without_organization: Vec<String> = strings(
        &mut owner,
        "SELECT relname::text FROM pg_class c
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'organization_id')
        ORDER BY relname",
    )
    .await;
    assert_eq!(without_organization, OF_NO_TENANT);
}

#[tokio::test]
async fn a_table_with_keys_across_tenants_would_be_noticed() {
    let database = database::fresh().await;
    let mut owner = database.as_owner().await;
    let stray = "CREATE TABLE stray (
        id uuid PRIMARY KEY,
        organization_id uuid REFERENCES organizations,
        name text,
        call_id uuid,
        FOREIGN KEY (call_id, organization_id) REFERENCES calls (id, organization_id)
    );
    CREATE UNIQUE INDEX stray_name ON stray (name);
    CREATE TABLE keyless (organization_id uuid NOT NULL)";
    let ids_alone = "CREATE UNIQUE INDEX swapped ON calls (id, organization_id)";
    run(&mut owner, ids_alone).await.unwrap();
    run(&mut owner, stray).await.unwrap();

    assert_eq!(
        strings(&mut owner, KEYS_WITHOUT_ORGANIZATION).await,
        [
            "calls: swapped begins with another column",
            "keyless: no primary key",
            "stray: organization_id may be null",
            "stray: stray_call_id_organization_id_fkey does not lead with organization_id on both sides",
            "stray: stray_name begins with another column",
            "stray: stray_pkey begins with another column",
        ]
    );
}

/// Copies organisation 1's rows to organisation 2, once for each foreign key: all else that could
/// refuse the copy is taken away for the attempt, which leaves no trace.
const COPY_TO_ORGANIZATION_2: &str = r#"
    CREATE FUNCTION pg_temp.copy_to_organization_2() RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE
        tested record;
        other name;
        copied bigint;
        refused_by text;
    BEGIN
        FOR tested IN
            SELECT conname, conrelid::regclass AS child FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND contype = 'f'
                AND confrelid NOT IN ('organizations'::regclass, 'people'::regclass)
                -- References among what is no tenant's.
                AND EXISTS (
                    SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'organization_id'
                )
            ORDER BY conname
        LOOP
            BEGIN
                FOR other IN
                    SELECT conname FROM pg_constraint
                    WHERE conrelid = tested.child AND contype = 'f' AND conname <> tested.conname
                LOOP
                    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', tested.child, other);
                END LOOP;
                EXECUTE format(
                    'INSERT INTO %1$s SELECT (jsonb_populate_record(r, $1)).* FROM %1$s r', tested.child
                ) USING '{"organization_id": "00000000-0000-0000-0000-000000000002"}'::jsonb;
                GET DIAGNOSTICS copied = ROW_COUNT;
                RAISE EXCEPTION USING ERRCODE = 'ZZ001';
            EXCEPTION
                WHEN foreign_key_violation THEN
                    GET STACKED DIAGNOSTICS refused_by = CONSTRAINT_NAME;
                    RETURN NEXT format('%s: refused by %s', tested.conname, refused_by);
                WHEN SQLSTATE 'ZZ001' THEN
                    RETURN NEXT format('%s: accepted %s', tested.conname, copied);
            END;
        END LOOP;
    END
    $$"#;

#[tokio::test]
async fn a_row_that_refers_to_another_organizations_is_refused_by_each_foreign_key() {
    let (_database, mut owner) = seeded().await;
    run(&mut owner, COPY_TO_ORGANIZATION_2).await.unwrap();

    let outcomes = strings(&mut owner, "SELECT pg_temp.copy_to_organization_2()").await;

    let accepted: Vec<&String> = outcomes
        .iter()
        .filter(|outcome| {
            let (name, outcome) = outcome.split_once(": ").unwrap();
            outcome.strip_prefix("refused by ") != Some(name)
        })
        .collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
    // Two of phone_numbers, three of calls, and at least one of every other child.
    assert!(outcomes.len() >= 17, "{outcomes:#?}");
}

// Privileges

/// What the application must do through a function, and what nobody does.
const BEYOND_THE_APPLICATION: [&str; 24] = [
    "UPDATE calls SET status = 'completed'",
    "UPDATE calls SET metadata = '{}'",
    "INSERT INTO calls SELECT * FROM calls",
    "DELETE FROM calls",
    "TRUNCATE calls CASCADE",
    "INSERT INTO call_facts SELECT * FROM call_facts",
    "UPDATE call_facts SET data = '{}'",
    "DELETE FROM call_facts",
    "INSERT INTO ledger_entries SELECT * FROM ledger_entries",
    "UPDATE ledger_entries SET amount_micros = 0",
    "DELETE FROM ledger_entries",
    "UPDATE hangup_attempts SET outcome = 'accepted'",
    "DELETE FROM hangup_attempts",
    "INSERT INTO webhook_deliveries SELECT * FROM webhook_deliveries",
    "DELETE FROM webhook_deliveries",
    "UPDATE rate_cards SET price_micros = 0",
    "UPDATE audit_entries SET actor = 'nobody'",
    "DELETE FROM audit_entries",
    "INSERT INTO audit_seals SELECT * FROM audit_seals",
    "UPDATE audit_seals SET number = 2",
    "DELETE FROM audit_seals",
    "DELETE FROM organizations",
    "SELECT write_effects('00000000-0000-0000-0000-000000000001',
        '00000000-0000-0000-0000-00000000000f', '00000000-0000-0000-0000-00000000000a', '{}')",
    "ALTER FUNCTION apply_change SECURITY INVOKER",
];

#[tokio::test]
async fn the_application_changes_calls_facts_and_ledger_through_functions_alone() {
    let (database, _owner) = seeded().await;
    let mut application = database.as_application().await;
    for statement in BEYOND_THE_APPLICATION {
        let refusal = refused(&mut application, statement).await;
        assert_eq!(
            refusal.code, INSUFFICIENT_PRIVILEGE,
            "{statement}: {refusal}"
        );
    }
}

// The functions.

const CREATE_SECOND: &str = r#"
    SELECT create_call('00000000-0000-0000-0000-000000000001', to_jsonb(c) || '{
        "id": "00000000-0000-0000-0000-0000000000ff", "provider_call_id": "CA2"}', '{
        "at": "2026-01-01T10:00:00Z", "facts": [{"sequence": 1, "type": "event_phone_call_started",
            "from_status": "initiating", "to_status": "initiating", "at": "2026-01-01T10:00:00Z",
            "data": {}}]}')::text
    FROM calls c"#;

/// Parameters: organisation, version that was read, sequence of the fact.
const ANSWER: &str = r"
    SELECT apply_change($1::uuid, c.id, $2,
        c.last_sequence, 'in-progress', c.provider_call_id, c.provider_host,
        c.dial_state, c.dial_started_at, c.ringing_at, '2026-01-01T10:00:05Z',
        c.ended_at, c.ended_reason, c.ended_side, c.provider_cause, c.heard_at,
        c.wish_state, c.wish_requested_at, c.wish_reason, c.wish_initiator, c.wish_note,
        c.wish_attempts, c.wish_retry_at, c.wish_confirmed_by, c.wish_confirmed_at,
        c.billable_millis, c.billed_seconds, c.amount_micros,
        jsonb_build_object('at', '2026-01-01T10:00:05Z', 'facts', jsonb_build_array(
            jsonb_build_object('sequence', $3::bigint, 'type', 'event_phone_call_connected',
                'from_status', 'ringing', 'to_status', 'in-progress',
                'at', '2026-01-01T10:00:05Z', 'data', '{}'::jsonb))))
    FROM calls c WHERE id = '00000000-0000-0000-0000-00000000000f'";

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const TWO: &str = "00000000-0000-0000-0000-000000000002";

async fn answer(
    connection: &mut PgConnection,
    organization: &str,
    version: i64,
    sequence: i64,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(ANSWER)
        .bind(organization)
        .bind(version)
        .bind(sequence)
        .fetch_one(connection)
        .await
}

/// The call's version and status, and how many facts it has.
async fn state(connection: &mut PgConnection) -> (i64, String, i64) {
    sqlx::query_as(
        "SELECT version, status, (SELECT count(*) FROM call_facts f WHERE f.call_id = c.id)
        FROM calls c WHERE id = '00000000-0000-0000-0000-00000000000f'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_application_creates_and_changes_a_call_through_the_functions() {
    let (database, _owner) = seeded().await;
    let mut application = database.as_application().await;

    run(&mut application, CREATE_SECOND).await.unwrap();
    let deliveries = strings(
        &mut application,
        "SELECT concat_ws(' ', call_id, sequence, state) FROM webhook_deliveries
        WHERE call_id = '00000000-0000-0000-0000-0000000000ff'",
    )
    .await;
    assert_eq!(
        deliveries,
        ["00000000-0000-0000-0000-0000000000ff 1 pending"]
    );

    assert!(answer(&mut application, ONE, 1, 2).await.unwrap());
    assert_eq!(
        state(&mut application).await,
        (2, "in-progress".to_owned(), 2)
    );
}

#[tokio::test]
async fn a_change_of_an_older_version_or_of_a_strangers_call_changes_nothing() {
    let (database, _owner) = seeded().await;
    let mut application = database.as_application().await;
    let before = state(&mut application).await;

    for (organization, version) in [(ONE, 0), (ONE, 2), (TWO, 1)] {
        assert!(
            !answer(&mut application, organization, version, 2)
                .await
                .unwrap()
        );
        assert_eq!(state(&mut application).await, before);
    }
}

#[tokio::test]
async fn a_call_that_is_over_is_not_changed() {
    let (database, mut owner) = seeded().await;
    run(&mut owner, END).await.unwrap();
    let mut application = database.as_application().await;
    let before = state(&mut application).await;
    assert_eq!(before.1, "completed");

    assert!(!answer(&mut application, ONE, before.0, 2).await.unwrap());

    assert_eq!(state(&mut application).await, before);
}

#[tokio::test]
async fn a_change_whose_fact_is_refused_changes_nothing() {
    let (database, _owner) = seeded().await;
    let mut application = database.as_application().await;
    let before = state(&mut application).await;

    let error = answer(&mut application, ONE, 1, 1).await.unwrap_err();

    let error = error.into_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some(UNIQUE_VIOLATION));
    assert_eq!(state(&mut application).await, before);
}

// What a call, its facts and its ledger may never be

/// A whole and correct end: 15 seconds of talk.
const END: &str = "
    UPDATE calls SET status = 'completed', answered_at = '2026-01-01 10:00:05Z',
        ended_at = '2026-01-01 10:00:20Z', ended_reason = 'caller', ended_side = 'local',
        wish_state = 'confirmed', wish_requested_at = '2026-01-01 10:00:20Z',
        wish_reason = 'caller', wish_initiator = 'token', wish_attempts = 1,
        billable_millis = 15000, billed_seconds = 60, amount_micros = 14000";

/// One violation at least of every rule of calls (`call_is_sound` and the domains of its columns). Where one would violate two, the
/// alphabetically first is named.
const VIOLATIONS: [(&str, &str); 25] = [
    (
        "calls_provider_check",
        "UPDATE calls SET provider = 'pigeon'",
    ),
    (
        "calls_provider_call_id_check",
        "UPDATE calls SET provider_call_id = ''",
    ),
    (
        "calls_provider_host_check",
        "UPDATE calls SET provider_host = ''",
    ),
    ("calls_version_check", "UPDATE calls SET version = 0"),
    (
        "calls_last_sequence_check",
        "UPDATE calls SET last_sequence = 0",
    ),
    ("calls_status_check", "UPDATE calls SET status = 'ended'"),
    (
        "calls_direction_check",
        "UPDATE calls SET direction = 'sideways'",
    ),
    (
        "calls_client_reference_check",
        "UPDATE calls SET client_reference = ''",
    ),
    ("calls_metadata_check", "UPDATE calls SET metadata = '[]'"),
    (
        "calls_max_duration_seconds_check",
        "UPDATE calls SET max_duration_seconds = 86401",
    ),
    (
        "calls_ring_timeout_seconds_check",
        "UPDATE calls SET ring_timeout_seconds = 4",
    ),
    (
        "calls_dial_state_check",
        "UPDATE calls SET dial_state = 'dialled'",
    ),
    (
        "calls_ended_side_check",
        "UPDATE calls SET ended_side = 'nobody'",
    ),
    (
        "calls_wish_state_check",
        "UPDATE calls SET wish_state = 'wanted', wish_requested_at = created_at,
            wish_reason = 'caller', wish_initiator = 'token', wish_attempts = 0",
    ),
    (
        "calls_terminal_has_end",
        "UPDATE calls SET status = 'completed'",
    ),
    (
        "calls_terminal_has_end",
        "UPDATE calls SET ended_at = created_at, ended_reason = 'caller', ended_side = 'local',
            amount_micros = 0",
    ),
    (
        "calls_live_has_no_end",
        "UPDATE calls SET ended_reason = 'caller'",
    ),
    (
        "calls_times_in_order",
        "UPDATE calls SET answered_at = created_at - interval '1 millisecond'",
    ),
    (
        "calls_times_in_order",
        "UPDATE calls SET status = 'completed', answered_at = created_at + interval '2 s',
            ended_at = created_at + interval '1 s', ended_reason = 'caller', ended_side = 'local',
            amount_micros = 0",
    ),
    (
        "calls_wish_is_whole",
        "UPDATE calls SET wish_state = 'requested'",
    ),
    (
        "calls_ended_when_wished",
        "UPDATE calls SET status = 'completed', ended_at = created_at + interval '2 s',
            ended_reason = 'caller', ended_side = 'local', amount_micros = 0,
            wish_state = 'confirmed', wish_requested_at = created_at + interval '1 s',
            wish_reason = 'caller', wish_initiator = 'token', wish_attempts = 1",
    ),
    (
        "calls_priced_when_over",
        "UPDATE calls SET amount_micros = 1",
    ),
    (
        "calls_billable_within_call",
        "UPDATE calls SET status = 'completed', answered_at = created_at + interval '1 s',
            ended_at = created_at + interval '2 s', ended_reason = 'caller', ended_side = 'local',
            amount_micros = 0, billable_millis = 1001",
    ),
    (
        "calls_billable_within_call",
        "UPDATE calls SET billable_millis = 1",
    ),
    (
        "calls_placed_has_provider_id",
        "UPDATE calls SET provider_call_id = NULL",
    ),
];

#[tokio::test]
async fn each_rule_of_calls_refuses_its_violation() {
    let (_database, mut owner) = seeded().await;
    for (constraint, statement) in VIOLATIONS {
        let refusal = refused(&mut owner, statement).await;
        assert_eq!(refusal.code, CHECK_VIOLATION, "{statement}: {refusal}");
        assert_eq!(
            refusal.constraint.as_deref(),
            Some(constraint),
            "{statement}"
        );
    }

    let checks = strings(
        &mut owner,
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid = 'calls'::regclass AND contype = 'c'",
    )
    .await;
    assert_eq!(checks, ["CHECK (call_is_sound(calls.*)) NOT VALID"]);
    let rules = strings(
        &mut owner,
        r"SELECT (regexp_matches(prosrc, 'THEN ''(\w+)''', 'g'))[1] AS rule FROM pg_proc
        WHERE oid = 'call_is_sound'::regproc
        UNION ALL SELECT conname FROM pg_attribute
        JOIN pg_constraint ON contypid = atttypid
        WHERE attrelid = 'calls'::regclass ORDER BY rule",
    )
    .await;
    let violated: BTreeSet<String> = VIOLATIONS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(rules, Vec::from_iter(violated));

    run(&mut owner, END).await.expect("a correct end");
}

#[tokio::test]
async fn a_call_has_one_end_and_is_billed_once() {
    let (_database, mut owner) = seeded().await;
    let bill =
        "INSERT INTO ledger_entries (organization_id, id, kind, call_id, meter, rate_card_id,
            currency, billable_millis, billed_seconds, amount_micros, recorded_at)
        SELECT organization_id, gen_random_uuid(), 'usage', call_id, meter, rate_card_id, currency,
            billable_millis, billed_seconds, amount_micros, recorded_at
        FROM ledger_entries LIMIT 1";
    let correct = "INSERT INTO ledger_entries (organization_id, id, kind, call_id, meter,
            rate_card_id, currency, billable_millis, billed_seconds, amount_micros, recorded_at)
        SELECT organization_id, gen_random_uuid(), 'correction', call_id, meter, rate_card_id,
            currency, billable_millis, billed_seconds, -amount_micros, recorded_at
        FROM ledger_entries LIMIT 1";
    let end = "INSERT INTO call_facts (organization_id, call_id, sequence, type, from_status,
            to_status, at, recorded_at, data)
        SELECT organization_id, call_id, max(sequence) + 1, 'event_phone_call_ended', 'ringing',
            'completed', '2026-01-01Z', '2026-01-01Z', '{}'
        FROM call_facts GROUP BY organization_id, call_id";

    let second = refused(&mut owner, bill).await;
    assert_eq!(second.code, UNIQUE_VIOLATION);
    assert_eq!(
        second.constraint.as_deref(),
        Some("ledger_entries_one_usage")
    );
    run(&mut owner, correct).await.unwrap();

    run(&mut owner, end).await.unwrap();
    let second = refused(&mut owner, end).await;
    assert_eq!(second.code, UNIQUE_VIOLATION);
    assert_eq!(second.constraint.as_deref(), Some("call_facts_one_end"));
}

//! The second wall between tenants: no SQL text of the program, and none of the functions of the
//! migrations, touches a tenant's table without being bound to one organisation, but for a short
//! list of statements that work for all of them, each with its reason.
//!
//! Why this and not row-level security: `docs/decisions/0004-the-second-wall.md`.

mod analysis;
mod parts;
mod statements;

use std::collections::{BTreeMap, BTreeSet};

use analysis::{Finding, Schema, analyse};
use statements::Statement;

use crate::support::database::{self, TestDatabase};

/// Statements that are not bound to one organisation, and why not. Even these join no row of one
/// organisation to a row of another, except where `MIXED` says so.
const FOR_ALL: &[(&str, &str)] = &[
    // Who is calling: the organisation is what is being found out.
    (
        "db::tokens::find_caller",
        "the digest of a token of 256 random bits",
    ),
    (
        "db::provider_accounts::find",
        "a callback names the account; its signature is then checked",
    ),
    (
        "db::calls::find_in_any_organization",
        "the operator's, who stands above organisations",
    ),
    // Written or read row by row, each of the organisation that it names.
    (
        "db::tokens::record_uses",
        "when tokens were used, noted for all at once",
    ),
    (
        "db::provider_accounts::managed::record_heard",
        "when accounts were heard of, noted for all at once",
    ),
    (
        "db::sealed::list",
        "the operator's: what an older key sealed, to be sealed anew",
    ),
    (
        "db::sessions::find_standing",
        "the session and the person of an access token, whose signature is checked",
    ),
    (
        "db::invitations::is_open",
        "the digest of a secret of 256 random bits, with the address it was mailed to",
    ),
    (
        "db::invitations::accept",
        "the digest of a secret of 256 random bits, with the address it was mailed to",
    ),
    (
        "db::people::register_invited",
        "the digest of a secret of 256 random bits, with the address it was mailed to",
    ),
    // A person belongs to several organisations: what happens in each of those, and in no other.
    (
        "db::organizations::list_of_person",
        "a person's own organisations",
    ),
    (
        "db::audit_entries::insert_of_person",
        "what a person does is recorded wherever the person is a member",
    ),
    (
        "db::people::verify_email",
        "an owner's address that is confirmed verifies the owner's organisations",
    ),
    (
        "db::people::reset_password",
        "an owner's address that is confirmed verifies the owner's organisations",
    ),
    (
        "db::people::register",
        "who registers again before the address is confirmed names the organisation anew",
    ),
    // Which organisations have something to do: ids alone are told, the work is then done inside
    // each one.
    (
        "db::jobs::organizations_with_due",
        "which organisations have due jobs",
    ),
    (
        "db::webhook_deliveries::organizations_with_due",
        "which organisations have due deliveries",
    ),
    (
        "db::provider_accounts::claim_lists",
        "which accounts are compared next",
    ),
    (
        "db::callback_receipts::calls_with_parked",
        "which calls have reports that wait for them",
    ),
    (
        "db::calls::overdue",
        "which calls were not heard of for long",
    ),
    (
        "db::listeners::missing",
        "which accounts and calls nobody listens to",
    ),
    (
        "db::listeners::renew",
        "all that this node listens to, by pairs with their organisations",
    ),
    (
        "db::call_facts::news",
        "what is new for every organisation with readers on this node, each after its place",
    ),
    (
        "db::tokens::in_force",
        "tokens whose readers are connected, by pairs with their organisations",
    ),
    (
        "db::gateway_leases::missing",
        "which gateways nobody is connected to",
    ),
    (
        "db::gateway_leases::renew",
        "all gateways that this node holds, by pairs with their organisations",
    ),
    // Keeping house by age, whoever it is of; nothing is told.
    ("db::listeners::purge", "leases that ran out long ago"),
    (
        "db::webhook_deliveries::endpoints_with_old",
        "which receivers have deliveries that are to be removed",
    ),
    (
        "db::webhook_deliveries::deleted_with_waiting",
        "which receivers were deleted before all that waited was given up",
    ),
    (
        "db::organization_events::organizations_with_old",
        "which organisations have events that are to be removed",
    ),
    (
        "db::idempotency::purge",
        "keys that were kept for long enough",
    ),
    (
        "db::callback_receipts::forget",
        "reports that no call came for",
    ),
    (
        "db::audit_seals::unsealed",
        "which audit entries are to be sealed",
    ),
    (
        "db::audit_seals::organizations",
        "the operator's audit goes over every organisation",
    ),
    (
        "function keep_attempt_partitions",
        "a day's attempts are moved to its partition, whoever they are of",
    ),
    // How much waits, for the operator; numbers alone are told.
    ("db::jobs::lag", "how many jobs wait, and since when"),
    (
        "db::webhook_deliveries::lag",
        "how many deliveries wait, and since when",
    ),
    // One that is founded.
    (
        "function create_call",
        "the row is made of a document over which the organisation is written",
    ),
];

async fn schema(database: &TestDatabase) -> Schema {
    let mut owner = database.as_owner().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut owner)
    .await
    .expect("the tables");
    // All that the application may execute, and what those call.
    let functions: Vec<String> = sqlx::query_scalar(
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            AND pronargs > 0 AND proargnames[1] = 'p_organization_id'",
    )
    .fetch_all(&mut owner)
    .await
    .expect("the functions");
    assert!(
        tables.len() >= 18 && functions.len() >= 4,
        "{tables:?} {functions:?}"
    );
    Schema {
        tables: tables.into_iter().collect(),
        functions: functions.into_iter().collect(),
    }
}

/// Every statement there is, but those of the audit, which reads all to find who breaks a rule.
async fn every_statement(database: &TestDatabase) -> Vec<Statement> {
    let mut statements = statements::of_program();
    statements.retain(|statement| !statement.name.starts_with("db::invariants"));
    statements.extend(statements::of_functions(database).await);
    assert!(statements.len() >= 90, "{}", statements.len());
    statements
}

/// What is wrong with how a statement is bound.
fn problems(statement: &Statement, finding: &Finding) -> Vec<String> {
    let mut problems = finding.loose.clone();
    for number in &finding.parameters {
        let Some(arguments) = &statement.arguments else {
            continue;
        };
        let handed = arguments.get(number - 1).map_or("", String::as_str);
        if !handed.contains("OrganizationId") {
            problems.push(format!("${number} is {handed}, which is no organisation"));
        }
    }
    problems
}

#[tokio::test]
async fn every_statement_is_bound_to_one_organisation_or_has_a_reason() {
    let database = database::fresh().await;
    let schema = schema(&database).await;
    let reasons: BTreeMap<&str, &str> = FOR_ALL.iter().copied().collect();
    let mut named = 0;
    let (mut faults, mut unneeded) = (Vec::new(), reasons.keys().copied().collect::<BTreeSet<_>>());
    for statement in every_statement(&database).await {
        let finding = analyse(&schema, &statement.sql);
        named += finding.named;
        let problems = problems(&statement, &finding);
        let name = statement.name.as_str();
        match reasons.contains_key(name) {
            true if problems.is_empty() => {}
            true => {
                unneeded.remove(name);
                if !finding.together {
                    faults.push(format!("{name} mixes organisations: {problems:?}"));
                }
            }
            false => faults.extend(
                problems
                    .iter()
                    .map(|problem| format!("{name}: {problem} is of any organisation")),
            ),
        }
    }
    assert!(named >= 120, "{named} tables and functions are few");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(unneeded.is_empty(), "reasons without need: {unneeded:?}");
}

/// A statement with one of its bindings left out, for each.
fn mutants(sql: &str) -> Vec<String> {
    let mut mutants = Vec::new();
    let words: Vec<&str> = sql.split_inclusive(char::is_whitespace).collect();
    for at in 0..words.len() {
        let word = |offset: usize| words.get(at + offset).map_or("", |word| word.trim());
        let names = word(0).trim_start_matches('(');
        let is_binding =
            names.ends_with("organization_id") && word(1) == "=" && !word(2).is_empty();
        if !is_binding {
            continue;
        }
        let opened = word(0).len() - names.len();
        let closed = word(2).trim_end_matches(')');
        let closed = &word(2)[closed.len()..];
        let mut mutant: String = words[..at].concat();
        mutant.push_str(&"(".repeat(opened));
        mutant.push_str("true");
        mutant.push_str(closed);
        mutant.push(' ');
        mutant.push_str(&words[at + 3..].concat());
        mutants.push(mutant);
    }
    mutants
}

#[tokio::test]
async fn a_statement_whose_filter_is_left_out_is_found() {
    let database = database::fresh().await;
    let schema = schema(&database).await;
    let reasons: BTreeMap<&str, &str> = FOR_ALL.iter().copied().collect();
    let (mut tried, mut passed) = (0, Vec::new());
    for statement in every_statement(&database).await {
        if reasons.contains_key(statement.name.as_str()) {
            continue;
        }
        for mutant in mutants(&statement.sql) {
            tried += 1;
            if analyse(&schema, &mutant).loose.is_empty() {
                passed.push(format!("{}: {mutant}", statement.name));
            }
        }
    }
    assert!(tried >= 60, "{tried}");
    assert!(
        passed.is_empty(),
        "{} of {tried} passed:\n{}",
        passed.len(),
        passed.join("\n")
    );
}

#[tokio::test]
async fn what_only_looks_bound_is_found() {
    let database = database::fresh().await;
    let schema = schema(&database).await;
    for (what, sql, is_bound) in [
        ("a filter", "SELECT id FROM calls WHERE organization_id = $1", true),
        ("no filter", "SELECT id FROM calls WHERE id = $2", false),
        ("either", "SELECT id FROM calls WHERE organization_id = $1 OR id = $2", false),
        ("not", "SELECT id FROM calls WHERE NOT organization_id = $1", false),
        ("another way round", "SELECT id FROM calls WHERE organization_id <> $1", false),
        ("with itself", "SELECT id FROM calls c WHERE c.organization_id = c.organization_id", false),
        ("the parameter with itself", "SELECT id FROM calls WHERE $1 = $1", false),
        (
            "a join by the id alone",
            "SELECT 1 FROM calls c JOIN agents a ON a.id = c.agent_id WHERE c.organization_id = $1",
            false,
        ),
        (
            "a join by the pair",
            "SELECT 1 FROM calls c JOIN agents a ON (a.organization_id, a.id) = (c.organization_id, c.agent_id)
            WHERE c.organization_id = $1",
            true,
        ),
        (
            "the filter in the ON of an outer join",
            "SELECT 1 FROM calls c LEFT JOIN agents a ON a.organization_id = c.organization_id AND c.organization_id = $1",
            false,
        ),
        (
            "a loose query in EXISTS",
            "SELECT 1 FROM calls c WHERE c.organization_id = $1 AND EXISTS (SELECT FROM agents a WHERE a.id = c.agent_id)",
            false,
        ),
        (
            "a loose query among the columns",
            "SELECT (SELECT count(*) FROM agents) FROM calls c WHERE c.organization_id = $1",
            false,
        ),
        (
            "half of a union",
            "SELECT id FROM calls WHERE organization_id = $1 UNION ALL SELECT id FROM agents",
            false,
        ),
        (
            "a change inside a query whose result is filtered",
            "WITH w AS (UPDATE agents SET name = $2 RETURNING organization_id) SELECT 1 FROM w WHERE organization_id = $1",
            false,
        ),
        (
            "a row for another organisation",
            "INSERT INTO tokens (organization_id, id) SELECT organization_id, $2 FROM agents WHERE id = $3",
            false,
        ),
        ("a row of its own", "INSERT INTO tokens (organization_id, id) VALUES ($1, $2)", true),
        (
            "a row by its place",
            "INSERT INTO tokens (id, organization_id) VALUES (gen_random_uuid(), gen_random_uuid())",
            false,
        ),
        ("a row given away", "UPDATE agents SET organization_id = $2 WHERE organization_id = $1", false),
        ("a function", "SELECT apply_change($1, $2, $3, $4, $5)", true),
        ("a function for anybody", "SELECT apply_change(c.id, $2, $3, $4, $5) FROM jobs c WHERE c.organization_id = $1", false),
        ("a removal", "DELETE FROM jobs WHERE id = $1", false),
        (
            "a removal by another table",
            "DELETE FROM jobs j USING calls c WHERE c.organization_id = $1 AND c.id = j.call_id",
            false,
        ),
    ] {
        let finding = analyse(&schema, sql);
        assert_eq!(finding.loose.is_empty(), is_bound, "{what}: {finding:?}");
    }
}

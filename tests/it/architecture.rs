//! The rules of the source tree that no lint knows. That they find what they should is tried in
//! `breaches.rs`.
//!
//! Sources are read as tokens, so comments and doc comments never break a rule, and macros' contents
//! do. "Tests" are modules under `#[cfg(test)]`, in whichever file, and all of `tests/`.

use std::collections::BTreeSet;

use crate::support::source::{self, Source, Token};

/// Who may import whom: the folder or file below `src/`, what it may use of the others (`*`:
/// everything), and why, where that is more than its layer should need. What several rows match
/// may use what any of them allows. Folders may be planned and not exist yet.
const IMPORTS: [(&str, &[&str], &str); 23] = [
    ("domain/", &[], ""),
    ("ambient/", &["domain"], ""),
    (
        "crypto/",
        &["domain", "ambient"],
        "sealing draws its nonce, which a test must be able to repeat",
    ),
    ("telemetry/", &["domain"], ""),
    ("config/", &["domain"], ""),
    (
        "config/",
        &[
            "crypto::admin_token",
            "crypto::sealed",
            "crypto::token_digest",
            "telemetry::log::Format",
        ],
        "a key becomes a key when it is read, so that no text of it lives on",
    ),
    (
        "db/",
        &["domain", "telemetry", "crypto::sealed::Sealed"],
        "sealed columns come and go as they are; opening them is not the database's business",
    ),
    ("outbound/", &["domain", "ambient", "telemetry"], ""),
    (
        "providers/",
        &["domain", "ambient", "crypto", "outbound", "telemetry"],
        "",
    ),
    (
        "app/",
        &["domain", "ambient", "crypto", "db", "telemetry"],
        "",
    ),
    ("events/", &["domain", "ambient", "db", "telemetry"], ""),
    (
        "jobs/",
        &["domain", "ambient", "crypto", "db", "app", "telemetry"],
        "",
    ),
    (
        "jobs/",
        &["providers", "outbound"],
        "the only caller of providers",
    ),
    (
        "media/",
        &[
            "domain",
            "ambient",
            "app",
            "providers",
            "outbound",
            "telemetry",
        ],
        "",
    ),
    (
        "http/",
        &[
            "domain",
            "ambient",
            "crypto",
            "app",
            "events",
            "media",
            "telemetry",
        ],
        "",
    ),
    (
        "http/",
        &["db"],
        "reads need no operation; writes go through app",
    ),
    (
        "http/callbacks/",
        &["providers"],
        "a callback is verified and read by its provider's adapter, which sends nothing for it",
    ),
    (
        "http/v1/calls/adopt.rs",
        &["providers"],
        "only the provider knows a call that other software placed: a handler that waits for it",
    ),
    (
        "http/v1/provider_accounts/probe.rs",
        &["providers"],
        "only the provider knows whether credentials hold: the handlers that connect, rotate and examine wait for it",
    ),
    (
        "http/state.rs",
        &["providers::Registry"],
        "carries the adapters to http/callbacks",
    ),
    (
        "simulator/",
        &["domain", "ambient", "crypto", "outbound", "telemetry"],
        "not providers: an imitation that shares the adapter's code proves nothing",
    ),
    ("boot/", &["*"], "composition root"),
    ("cli/", &["*"], "composition root"),
];

/// A token sequence that may appear in some places only.
struct Fence {
    tokens: &'static [&'static str],
    /// Prefixes of paths.
    places: &'static [&'static str],
    /// A longer sequence that is allowed below a prefix.
    exception: Option<(&'static str, &'static [&'static str])>,
    in_tests: bool,
    rule: &'static str,
    advice: &'static str,
}

const ASSUME: Fence = Fence {
    tokens: &["OrgScope", ":", ":", "assume"],
    // A checked token, the operator's and local mode's lack of one; a verified callback; claimed rows
    // of our own queues; the command line.
    places: &[
        "src/http/extract/mod.rs",
        "src/http/callbacks/",
        "src/jobs/",
        "src/cli/",
    ],
    exception: None,
    in_tests: true,
    rule: "an organisation is assumed",
    advice: "take the OrgScope that was established at the edge as an argument",
};

const SQL: Fence = Fence {
    tokens: &["sqlx", ":", ":"],
    // The private server is started and given its databases before there is a Db to ask; the test
    // of with_database looks whether the database it was given answers.
    places: &[
        "src/db/",
        "src/boot/private_postgres/",
        "src/cli/with_database.rs",
    ],
    // A value that is a column says how it is stored.
    exception: Some(("src/domain/", &["sqlx", ":", ":", "Type"])),
    in_tests: false,
    rule: "sqlx outside db",
    advice: "write a function in the file of src/db that is named like the table",
};

const STATUS: Fence = Fence {
    tokens: &["StatusCode"],
    places: &["src/http/", "src/simulator/"],
    exception: None,
    in_tests: true,
    rule: "an HTTP status outside http",
    advice: "return a domain::Error; src/http/error.rs gives its code a status",
};

const BEGIN: Fence = Fence {
    tokens: &[".", "begin", "("],
    places: &["src/db/migrate.rs"],
    exception: None,
    in_tests: false,
    rule: "a transaction is begun",
    advice: "write one statement: a begin that is dropped leaves its connection in a transaction",
};

/// Besides, utoipa's examples in `src/http` may show a name, and tests may use one.
const PLACES_OF_PROVIDER_NAMES: [&str; 6] = [
    "src/providers/",
    // Addresses are written with the protocol that a kind of provider is named after.
    "src/domain/phone.rs",
    "src/domain/provider/mod.rs",
    "src/simulator/",
    "src/cli/",
    "src/config/",
];

const MOST_CODE_LINES: usize = 400;
const MOST_TEST_LINES: usize = 600;
const MOST_FUNCTION_LINES: usize = 80;

/// Names under which anything could be put.
const NAMES_OF_NOTHING: [&str; 8] = [
    "utils", "util", "helpers", "helper", "common", "manager", "service", "impl",
];

/// Where people and build machines keep their checkouts, and a folder beside this one. Split, so
/// that this file does not mention them itself.
const FOREIGN_PATHS: [&str; 6] = [
    concat!("/", "home/"),
    concat!("/", "Users/"),
    concat!("/", "work/"),
    concat!("/", "workspace/"),
    concat!("/", "builds/"),
    concat!("../", "shared"),
];

// The rules

struct Finding {
    path: String,
    line: usize,
    what: String,
}

fn finding(source: &Source, line: usize, what: impl Into<String>) -> Finding {
    Finding {
        path: source.path.clone(),
        line,
        what: what.into(),
    }
}

fn imports(source: &Source) -> Vec<Finding> {
    let Some(inside) = source.path.strip_prefix("src/") else {
        return Vec::new();
    };
    // lib.rs and main.rs only join the folders.
    let Some((own, _)) = inside.split_once('/') else {
        return Vec::new();
    };
    let rows = IMPORTS
        .iter()
        .filter(|(folder, ..)| inside.starts_with(folder));
    let allowed: Vec<&str> = rows.flat_map(|(_, allowed, _)| *allowed).copied().collect();
    let paths = source.paths_from_the_root().into_iter();
    let breaches = paths.filter(|(line, path)| {
        let fits = |allowed: &&str| {
            *allowed == "*"
                || path.join("::").starts_with(&format!("{allowed}::"))
                || path.join("::") == **allowed
        };
        path[0] != own && !source.is_in_tests(*line) && !allowed.iter().any(fits)
    });
    breaches
        .map(|(line, path)| {
            let allowed = allowed.join(", ");
            finding(source, line, format!(
                "{own} imports {} — it may import [{allowed}]; move what both need down, or pass it in",
                path.join("::")
            ))
        })
        .collect()
}

fn fenced(fence: &Fence, source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("src/") || source.is_below(fence.places) {
        return Vec::new();
    }
    let breaches = source.tokens.iter().enumerate().filter(|(at, token)| {
        let excepted = fence
            .exception
            .is_some_and(|(place, tokens)| source.is_below(&[place]) && source.has(*at, tokens));
        source.has(*at, fence.tokens)
            && !excepted
            && !(fence.in_tests && source.is_in_tests(token.line))
    });
    breaches
        .map(|(_, token)| {
            finding(
                source,
                token.line,
                format!("{} — {}", fence.rule, fence.advice),
            )
        })
        .collect()
}

/// A provider's name is the name of its folder, so a new provider is covered with its first file.
fn provider_names(tree: &[Source]) -> BTreeSet<&str> {
    tree.iter()
        .filter_map(|source| source.path.strip_prefix("src/providers/")?.split_once('/'))
        .map(|(name, _)| name)
        .collect()
}

fn names_of_providers(names: &BTreeSet<&str>, source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("src/") || source.is_below(&PLACES_OF_PROVIDER_NAMES) {
        return Vec::new();
    }
    let is_shown = |token: &Token| token.in_attribute && source.is_below(&["src/http/"]);
    let breaches = source.tokens.iter().filter(|token| {
        let text = token.text.to_ascii_lowercase();
        names.iter().any(|name| text.contains(name))
            && !is_shown(token)
            && !source.is_in_tests(token.line)
    });
    breaches
        .map(|token| {
            finding(source, token.line, format!(
                "a provider by name, {} — ask the ProviderKind, or move it to the provider's folder",
                token.text
            ))
        })
        .collect()
}

fn opening(source: &Source) -> Vec<Finding> {
    let what = "no module doc — open with `//!`: what lives here, what does not, what holds";
    let missing = !source.text.starts_with("//! ");
    Vec::from_iter(missing.then(|| finding(source, 1, what)))
}

fn sizes(source: &Source) -> Vec<Finding> {
    let all = source.text.lines().count();
    let tests: usize = if source.is_test {
        all
    } else {
        source
            .test_modules
            .iter()
            .map(|lines| lines.clone().count())
            .sum()
    };
    let mut found = Vec::new();
    for (kind, lines, most) in [
        ("code", all - tests, MOST_CODE_LINES),
        ("tests", tests, MOST_TEST_LINES),
    ] {
        if lines > most {
            let what =
                format!("{lines} lines of {kind}, at most {most} — split it by noun or verb");
            found.push(finding(source, 1, what));
        }
    }
    for (name, line, lines) in &source.functions {
        if *lines > MOST_FUNCTION_LINES {
            let what = format!(
                "{name} has {lines} lines, at most {MOST_FUNCTION_LINES} — name a part of it"
            );
            found.push(finding(source, *line, what));
        }
    }
    found
}

fn names(source: &Source) -> Vec<Finding> {
    let path = source.path.trim_end_matches(".rs");
    let mut parts = path
        .split('/')
        .filter(|part| NAMES_OF_NOTHING.contains(part));
    let found = parts.next().map(|part| {
        finding(
            source,
            1,
            format!("a place named {part} — name the noun that lives there"),
        )
    });
    Vec::from_iter(found)
}

fn foreign_paths(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(foreign) = FOREIGN_PATHS
            .iter()
            .find(|foreign| line.contains(**foreign))
        {
            found.push(Finding {
                path: path.to_owned(),
                line: number + 1,
                what: format!("a path outside the repository, {foreign} — say it without"),
            });
        }
    }
    found
}

// Trying them

/// Fails with everything that was found, one line each.
fn holds(found: impl IntoIterator<Item = Finding>) {
    let lines: Vec<String> = found
        .into_iter()
        .map(|Finding { path, line, what }| format!("{path}:{line}: {what}"))
        .collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn a_folder_imports_only_what_is_below_it() {
    holds(source::tree().iter().flat_map(imports));
}

#[test]
fn an_organization_is_assumed_only_where_it_was_established() {
    holds(
        source::tree()
            .iter()
            .flat_map(|source| fenced(&ASSUME, source)),
    );
}

#[test]
fn sql_is_in_db_alone() {
    holds(
        source::tree()
            .iter()
            .flat_map(|source| fenced(&SQL, source)),
    );
}

#[test]
fn the_status_of_an_answer_is_chosen_in_http_alone() {
    holds(
        source::tree()
            .iter()
            .flat_map(|source| fenced(&STATUS, source)),
    );
}

#[test]
fn no_transaction_is_begun() {
    holds(
        source::tree()
            .iter()
            .flat_map(|source| fenced(&BEGIN, source)),
    );
}

#[test]
fn a_provider_is_named_in_its_own_folder_alone() {
    let tree = source::tree();
    let known = provider_names(tree);
    assert!(!known.is_empty());
    holds(
        tree.iter()
            .flat_map(|source| names_of_providers(&known, source)),
    );
}

#[test]
fn every_file_opens_with_what_lives_in_it() {
    holds(source::tree().iter().flat_map(opening));
}

#[test]
fn files_and_functions_are_short() {
    holds(source::tree().iter().flat_map(sizes));
}

#[test]
fn every_place_is_named_after_what_lives_there() {
    holds(source::tree().iter().flat_map(names));
}

#[test]
fn no_file_tells_where_it_was_written() {
    let texts = source::texts();
    assert!(texts.iter().any(|(path, _)| path == "Cargo.toml"));
    holds(
        texts
            .iter()
            .flat_map(|(path, text)| foreign_paths(path, text)),
    );
}

/// What every rule finds in one file that is not there.
pub(crate) fn findings(path: &str, text: &str) -> Vec<(usize, String)> {
    let tree = source::parse([(path.to_owned(), text.to_owned())]);
    let source = &tree[0];
    let names_known = BTreeSet::from(["twilio"]);
    let fences = [ASSUME, SQL, STATUS, BEGIN];
    let mut found: Vec<Finding> = fences
        .iter()
        .flat_map(|fence| fenced(fence, source))
        .collect();
    found.extend(imports(source));
    found.extend(names_of_providers(&names_known, source));
    found.extend(opening(source));
    found.extend(sizes(source));
    found.extend(names(source));
    found.extend(foreign_paths(path, text));
    found
        .into_iter()
        .map(|found| {
            (
                found.line,
                found.what.split(" — ").next().unwrap().to_owned(),
            )
        })
        .collect()
}

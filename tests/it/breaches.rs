//! The rules of `architecture.rs`, tried on what breaks them and on what does not.

use crate::architecture::findings;

/// A file, its text below the module doc, and the line and kind of what is found in it.
const BREACHES: [(&str, &str, usize, &str); 16] = [
    (
        "src/app/a.rs",
        "use crate::http::error;",
        2,
        "app imports http::error",
    ),
    (
        "src/app/a.rs",
        "use crate::{\n    db,\n    domain::{self, Error as E, call::*}, providers::Registry};",
        2,
        "app imports providers::Registry",
    ),
    (
        "src/app/calls/end.rs",
        "fn f() {\n    super::super::super::jobs::run();\n}",
        3,
        "app imports jobs::run",
    ),
    (
        "src/db/a.rs",
        "use crate::crypto::sealed::Keys;",
        2,
        "db imports crypto::sealed::Keys",
    ),
    (
        "src/http/v1/a.rs",
        "use crate::providers::Registry;",
        2,
        "http imports providers::Registry",
    ),
    (
        "src/domain/a.rs",
        "m!(crate::ambient::Clock);",
        2,
        "domain imports ambient::Clock",
    ),
    (
        "src/app/a.rs",
        "fn f() { OrgScope::assume(id); }",
        2,
        "an organisation is assumed",
    ),
    (
        "src/jobs/a.rs",
        "fn f() {\n    sqlx::query!();\n}",
        3,
        "sqlx outside db",
    ),
    ("src/domain/a.rs", "use sqlx::PgPool;", 2, "sqlx outside db"),
    (
        "src/app/a.rs",
        "use axum::http::StatusCode;",
        2,
        "an HTTP status outside http",
    ),
    (
        "src/db/a.rs",
        "fn f() { pool\n.begin(); }",
        3,
        "a transaction is begun",
    ),
    (
        "src/app/a.rs",
        "const A: &str = \"via Twilio\";",
        2,
        "a provider by name, \"via Twilio\"",
    ),
    (
        "src/http/a.rs",
        "fn f() { ProviderKind::Twilio; }",
        2,
        "a provider by name, Twilio",
    ),
    ("src/app/utils/a.rs", "", 1, "a place named utils"),
    ("tests/it/common.rs", "", 1, "a place named common"),
    (
        "migrations/a.rs",
        concat!("// see ../", "shared/notes.md"),
        2,
        concat!("a path outside the repository, ../", "shared"),
    ),
];

/// The same for what no rule forbids.
const NO_BREACHES: [(&str, &str); 9] = [
    (
        "src/app/a.rs",
        "/// [`crate::http`], Twilio, sqlx::query!\nuse crate::db::{self, calls};",
    ),
    (
        "src/app/a.rs",
        "#[cfg(test)]\nmod tests {\n    use crate::providers::Twilio;\n    \
            fn f() { OrgScope::assume(StatusCode); }\n}",
    ),
    (
        "src/app/calls/mod.rs",
        "use super::App;\npub(crate) fn f() { super::super::app::f(); }",
    ),
    (
        "src/db/a.rs",
        "use crate::crypto::sealed::Sealed;\nuse sqlx::PgPool;",
    ),
    (
        "src/domain/a.rs",
        "#[derive(sqlx::Type)]\n#[sqlx(transparent)]\nstruct A(u8);",
    ),
    ("src/http/callbacks/a.rs", "use crate::providers::Callback;"),
    (
        "src/http/a.rs",
        "#[schema(example = \"twilio\")]\nstruct A;",
    ),
    ("src/simulator/a.rs", "const A: StatusCode = twilio();"),
    (
        "src/cli/a.rs",
        "use crate::jobs;\nconst A: ProviderKind = ProviderKind::Twilio;",
    ),
];

#[test]
fn each_rule_finds_its_breach_and_where_it_is() {
    for (path, text, line, what) in BREACHES {
        let found = findings(path, &format!("//! A.\n{text}\n"));
        assert_eq!(found, [(line, what.to_owned())], "{path}: {text}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    for (path, text) in NO_BREACHES {
        assert_eq!(
            findings(path, &format!("//! A.\n{text}\n")),
            [],
            "{path}: {text}"
        );
    }
}

#[test]
fn a_file_or_function_that_is_one_line_too_long_is_found() {
    let function =
        |lines: usize| format!("//! A.\nfn long() {{\n{}}}\n", "f();\n".repeat(lines - 2));
    assert_eq!(findings("src/app/a.rs", &function(80)), []);
    assert_eq!(
        findings("src/app/a.rs", &function(81)),
        [(2, "long has 81 lines, at most 80".to_owned())]
    );

    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(597));
    let file = |lines: usize| format!("//! A.\n{}{tests}", "const A: u8 = 1;\n".repeat(lines - 1));
    assert_eq!(findings("src/app/a.rs", &file(400)), []);
    assert_eq!(
        findings("src/app/a.rs", &file(401)),
        [(1, "401 lines of code, at most 400".to_owned())]
    );
    assert_eq!(
        findings("tests/it/a.rs", &file(401)),
        [(1, "1001 lines of tests, at most 600".to_owned())]
    );
}

#[test]
fn a_file_that_does_not_say_what_lives_in_it_is_found() {
    for text in ["", "fn f() {}\n", "// A.\n", "\n//! A.\n"] {
        assert_eq!(
            findings("src/app/a.rs", text),
            [(1, "no module doc".to_owned())],
            "{text}"
        );
    }
}

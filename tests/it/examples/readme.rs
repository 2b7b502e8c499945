//! The README's commands, pasted as they are printed: the first calls beside `onhook dev`, and the way
//! to a deployment, from an empty folder and an empty database to a call that a narrow token ends.

use serde_json::{Value, json};

use super::{run::Language, succeeded};
use crate::support::{database, ports::free_port};

const README: &str = include_str!("../../../README.md");

/// The commands between two of its lines, in their order.
fn commands(from: &str, to: &str) -> String {
    let (_, section) = README.split_once(from).expect("the beginning");
    let (section, _) = section.split_once(to).expect("the end");
    let blocks = section.split("```sh\n").skip(1);
    let commands = blocks.map(|block| block.split_once("```").expect("an end").0);
    commands.collect()
}

/// A folder of the test's own, and what finds the program that was built.
fn folder(name: &str) -> (String, String) {
    let folder = format!("{}/{name}-{}", env!("CARGO_TARGET_TMPDIR"), free_port());
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_onhook"));
    let program = program.parent().expect("a folder").display();
    // Whatever the script starts ends with it.
    let here = format!(
        "set -euo pipefail; trap 'kill $(jobs -p); wait' EXIT
cd '{folder}'; export PATH='{program}':\"$PATH\"
"
    );
    (folder, here)
}

/// The answers of the script that are JSON, in their order.
fn answers(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines().filter(|line| line.starts_with('{'));
    let json = lines.map(serde_json::from_str);
    json.collect::<Result<_, _>>().expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_way_to_a_deployment_works_as_it_is_printed() {
    let Some(bash) = Language::bash_with_curl_and_openssl().await else {
        return;
    };
    let database = database::empty().await;
    let (folder, here) = folder("deployment");
    let here = format!(
        "{here}export DATABASE_URL='{}' LISTEN=127.0.0.1:{} OPERATOR_LISTEN=127.0.0.1:{} SIMULATOR_LISTEN=127.0.0.1:{}
",
        database.url,
        free_port(),
        free_port(),
        free_port()
    );
    let section = commands("### From nothing to a call that ends\n", "\n### ");

    let output = bash.run(&(here + &section)).await;

    let answers = answers(succeeded(&output));
    let with = |member: &str| {
        let mut found = answers.iter().filter(|answer| !answer[member].is_null());
        found.next().unwrap_or_else(|| panic!("{output:#?}"))
    };
    let organization = &with("items")["items"][0];
    assert_eq!(organization["role"], "owner", "{output:#?}");
    assert!(organization["verified_at"].is_string(), "{output:#?}");
    let checks = with("checks")["checks"].as_array().expect("checks").clone();
    let failed = checks.iter().filter(|check| check["status"] == "failed");
    assert_eq!(failed.count(), 0, "{output:#?}");
    let [.., receipt, refused] = answers.as_slice() else {
        panic!("{output:#?}")
    };
    // By the provider's answer, or by its callback where that comes first.
    assert_eq!(
        (&receipt["outcome"], &receipt["end"]["state"]),
        (&json!("ended"), &json!("confirmed"))
    );
    assert_eq!(refused["code"], "SCOPE_MISSING", "{output:#?}");
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_first_calls_work_as_they_are_printed() {
    let Some(bash) = Language::bash_with_curl_and_openssl().await else {
        return;
    };
    let database = database::empty().await;
    let (folder, here) = folder("first-calls");
    let here = format!(
        "{here}DATABASE_URL='{}' onhook dev --listen 127.0.0.1:{} > dev.log 2>&1 &
until [ -s .onhook/dev.json ]; do kill -0 $!; sleep 0.2; done
",
        database.url,
        free_port()
    );
    let first = commands("## The first call\n", "\n## A real deployment");
    let comes_in = commands("In `onhook dev` anybody can call:\n", "\n## ");

    let output = bash.run(&(here + &first + &comes_in)).await;

    let answers = answers(succeeded(&output));
    let said = |what: Value| {
        let (member, value) = what
            .as_object()
            .and_then(|what| what.iter().next())
            .expect("one");
        let found = answers.iter().any(|answer| answer[member] == *value);
        assert!(found, "{what}: {output:#?}");
    };
    said(json!({"outcome": "ended"}));
    said(json!({"success": true}));
    said(json!({"provider": "twilio"}));
    said(json!({"ok": false}));
    said(json!({"count": 1}));
    let refused = answers
        .iter()
        .filter_map(|answer| answer["detail"].as_str());
    let refused: Vec<&str> = refused.collect();
    assert!(
        matches!(refused.as_slice(), [over] if over.starts_with("Cannot terminate call")),
        "{refused:?}"
    );
    let errors = answers.iter().filter(|answer| !answer["type"].is_null());
    assert_eq!(errors.count(), 0, "{output:#?}");
    let log = std::fs::read_to_string(format!("{folder}/dev.log")).expect("a log");
    assert!(
        !log.contains("still open"),
        "it does not stop by itself: {log}"
    );
    std::fs::remove_dir_all(&folder).expect("removed");
}

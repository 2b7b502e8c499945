//! The README's way to a deployment, pasted as it is printed: from an empty folder and an empty
//! database to a call that a narrow token ends.

use serde_json::{Value, json};

use super::{run::Language, succeeded};
use crate::support::{database, ports::free_port};

const README: &str = include_str!("../../../README.md");
const SECTION: &str = "### From nothing to a call that ends\n";

/// The commands of the section, in their order.
fn commands() -> String {
    let (_, section) = README.split_once(SECTION).expect("the section");
    let (section, _) = section.split_once("\n### ").expect("another section");
    let blocks = section.split("```sh\n").skip(1);
    let commands = blocks.map(|block| block.split_once("```").expect("an end").0);
    commands.collect()
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
    let ports = [free_port(), free_port(), free_port()];
    let folder = format!("{}/readme-{}", env!("CARGO_TARGET_TMPDIR"), ports[0]);
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_onhook"));
    let program = program.parent().expect("a folder").display();
    // What differs from machine to machine; whatever it starts ends with the script.
    let here = format!(
        "set -euo pipefail; trap 'kill $(jobs -p); wait' EXIT
cd '{folder}'; export PATH='{program}':\"$PATH\"
export DATABASE_URL='{}' LISTEN=127.0.0.1:{} OPERATOR_LISTEN=127.0.0.1:{} SIMULATOR_LISTEN=127.0.0.1:{}
",
        database.url, ports[0], ports[1], ports[2]
    );

    let output = bash.run(&(here + &commands())).await;

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
    assert_eq!(
        (&receipt["outcome"], &receipt["end"]["confirmed_by"]),
        (&json!("ended"), &json!("hang_up_answer"))
    );
    assert_eq!(refused["code"], "SCOPE_MISSING", "{output:#?}");
    std::fs::remove_dir_all(&folder).expect("removed");
}

//! The providers' own Python packages against the simulator: what they place, read, list and end
//! has to come out as they understand it.
//!
//! Where Python or the package is missing, a test says that it was skipped ([`tools`]).

use std::{path::Path, process::Stdio, sync::Arc};

use onhook::domain::provider::ProviderKind;
use serde_json::json;
use tokio::process::Command;

use super::{
    rig::{Adapters, Rig},
    tools,
};

/// A test for each line: the provider, its package, and the script that uses it. A script prints
/// the name of the call that it placed and ended.
macro_rules! official_clients {
    ($($name:ident: $provider:ident, $package:literal, $script:literal;)+) => {
        $(mod $name {
            use onhook::domain::provider::ProviderKind;

            #[tokio::test(flavor = "multi_thread")]
            async fn the_official_client_places_reads_lists_and_ends_a_call() {
                super::run(ProviderKind::$provider, $package, $script).await;
            }
        })+
    };
}

official_clients! {
    twilio: Twilio, "twilio", "twilio_client.py";
    telnyx: Telnyx, "telnyx", "telnyx_client.py";
    vonage: Vonage, "vonage", "vonage_client.py";
}

async fn run(provider: ProviderKind, package: &str, script: &str) {
    let packages = match tools::python_package(package).await {
        Ok(packages) => packages,
        Err(missing) => return missing.skips(&format!("the official client of {package}")),
    };
    let rig = Rig::start(Arc::new(Adapters::new()), provider).await;
    let answered = json!({"ring_after_ms": 0, "answer_after_ms": 0, "hangup_after_ms": 0});
    rig.script(&answered).await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3")
        .arg(here.join("tests/it/contracts").join(script))
        .env("PYTHONPATH", packages)
        .env("API", &rig.api)
        .env("ACCOUNT", rig.face.external_id)
        .env("CREDENTIALS", rig.simulated.credentials().to_string())
        // Whatever proxy the machine has does not lead here.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    let seen = rig.at_provider(said.trim()).await;
    assert_eq!(seen["state"], "completed", "{seen}");
    assert_eq!(seen["hangups_carried_out"], 1, "{seen}");
    rig.stop();
}

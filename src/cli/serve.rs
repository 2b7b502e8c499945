//! `onhook serve`: one node, as the environment says.

use super::Failure;
use crate::{
    ambient::Ambient,
    boot::{self, Node, Settings},
    config::Config,
    telemetry::log,
};

pub(super) async fn run(config: Config, ambient: Ambient) -> Result<(), Failure> {
    log::install(config.log.format, &config.log.filter);
    if config.providers.allow_loopback {
        tracing::warn!("ONHOOK_OUTBOUND_ALLOW_LOOPBACK is on: for development and tests only");
    }
    let tasks = ambient.tasks.clone();
    let node = Node::start(Settings {
        config,
        ambient,
        run_loops: true,
    })
    .await?;
    tracing::info!(address = %node.address, operators = %node.operator_address, "serving");
    tokio::select! {
        stopped = boot::asked_to_stop() => stopped?,
        () = tasks.crashed() => tracing::error!("a task panicked: stopping"),
    }
    let crashed = !tasks.is_stopping() && tasks.has_crashed();
    tokio::select! {
        () = node.stop() => {}
        second = boot::asked_to_stop() => second?,
    }
    if crashed {
        Err("a background task panicked; see the log".into())
    } else {
        Ok(())
    }
}

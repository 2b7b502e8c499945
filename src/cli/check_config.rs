//! `onhook check-config`: everything that is wrong with the environment, at once.

use std::process::ExitCode;

use super::terminal;
use crate::config;

pub(super) fn run() -> ExitCode {
    match config::from_environment() {
        Ok(config) => {
            terminal::say("The configuration is complete.");
            if config.providers.allow_loopback {
                terminal::say(
                    "ONHOOK_OUTBOUND_ALLOW_LOOPBACK is on: for development and tests only.",
                );
            }
            if config.http.local_organization.is_some() {
                terminal::say(
                    "ONHOOK_LOCAL_ORGANIZATION is set: whoever is on this machine acts as it without a token.",
                );
            }
            if config.keys.admin_token.is_none() {
                terminal::say("ADMIN_TOKEN is empty: POST /api/v1/admin/cancel is not there.");
            }
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in faults {
                terminal::complain(&fault.to_string());
            }
            ExitCode::FAILURE
        }
    }
}

//! The members of a receiver that have bounds.

use crate::{
    domain::{
        Result,
        webhook::endpoint::{
            MAX_DESCRIPTION_CHARS, MAX_TIMEOUT_SECONDS, MIN_TIMEOUT_SECONDS, event_problem,
        },
    },
    http::extract::wrong,
};

pub(in crate::http::v1) fn events(names: &[String]) -> Result<()> {
    for (index, name) in names.iter().enumerate() {
        if let Some(problem) = event_problem(name) {
            return Err(wrong(&format!("/events/{index}"), "unknown", problem));
        }
    }
    Ok(())
}

pub(in crate::http::v1) fn timeout(seconds: i32) -> Result<()> {
    if (MIN_TIMEOUT_SECONDS..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
        return Ok(());
    }
    Err(wrong("/timeout_seconds", "range", "must be from 5 to 120"))
}

pub(in crate::http::v1) fn description(text: &str) -> Result<()> {
    if text.chars().count() <= MAX_DESCRIPTION_CHARS {
        return Ok(());
    }
    let message = "must be at most 500 characters long";
    Err(wrong("/description", "length", message))
}

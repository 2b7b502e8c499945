//! The error shapes of the other products' routes. What their pages document is said in the
//! handlers; here is what they leave open, in each route's own manner.

use axum::http::StatusCode;
use serde::Serialize;

use crate::{
    domain::{Error, ErrorCode, Result},
    http::{answer::Answer, error, extract::Incoming},
};

/// `{"success":false,"message":…,"code":…}`: the agents' routes.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AgentError {
    success: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<&'static str>,
}

impl AgentError {
    pub(super) fn answer(status: StatusCode, message: &str, code: Option<&'static str>) -> Answer {
        Answer::json(
            status,
            &Self {
                success: false,
                message: message.to_owned(),
                code,
            },
        )
    }
}

/// The answer of an agents' route.
pub(super) fn finish_agent(incoming: &Incoming, result: Result<Answer>) -> Answer {
    result.unwrap_or_else(|error| {
        error::log(&error, &incoming.context.request_id);
        let code = Some(error.code.as_str());
        AgentError::answer(error::status(error.code), &error.detail, code).retry_like(&error)
    })
}

/// `{"detail":…}`: the terminate route.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct DetailError {
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<&'static str>,
}

impl DetailError {
    pub(super) fn answer(status: StatusCode, detail: &str, code: Option<&'static str>) -> Answer {
        Answer::json(
            status,
            &Self {
                detail: detail.to_owned(),
                code,
            },
        )
    }
}

/// The answer of the terminate route.
pub(super) fn finish_detail(incoming: &Incoming, result: Result<Answer>) -> Answer {
    result.unwrap_or_else(|error| {
        error::log(&error, &incoming.context.request_id);
        DetailError::answer(error::status(error.code), &error.detail, None).retry_like(&error)
    })
}

/// A path that cannot name anything of ours is a thing that is missing.
pub(super) fn agent_not_found() -> Error {
    Error::new(ErrorCode::AgentNotFound, "Agent not found")
}

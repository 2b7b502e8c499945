//! The error shapes of the other products' routes. What their pages document is said in the
//! handlers; here is what they leave open, in each route's own manner.

use axum::http::StatusCode;
use serde::Serialize;

use crate::{
    domain::{Error, ErrorCode, Result},
    http::{HttpState, answer::Answer, error, extract::Incoming},
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

/// `{"success":false,"error":…}`: the sessions' routes.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct SessionError {
    success: bool,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<&'static str>,
}

impl SessionError {
    pub(super) fn answer(status: StatusCode, error: &str, code: Option<&'static str>) -> Answer {
        Answer::json(
            status,
            &Self {
                success: false,
                error: error.to_owned(),
                code,
            },
        )
    }
}

/// The answer of a sessions' route; in local mode a page of this machine may read it.
pub(super) fn finish_session(
    state: &HttpState,
    incoming: &Incoming,
    result: Result<Answer>,
) -> Answer {
    let answer = result.unwrap_or_else(|error| {
        error::log(&error, &incoming.context.request_id);
        SessionError::answer(error::status(error.code), &error.detail, None).retry_like(&error)
    });
    answer.readable_by(incoming.local_page(state))
}

/// `{"ok":false,"error":…}`: the operator's route.
#[derive(Serialize, utoipa::ToSchema)]
pub(in crate::http) struct AdminError {
    ok: bool,
    error: String,
}

impl AdminError {
    pub(super) fn answer(status: StatusCode, error: &str) -> Answer {
        Answer::json(
            status,
            &Self {
                ok: false,
                error: error.to_owned(),
            },
        )
    }
}

/// The answer of the operator's route.
pub(super) fn finish_admin(incoming: &Incoming, result: Result<Answer>) -> Answer {
    result.unwrap_or_else(|error| {
        error::log(&error, &incoming.context.request_id);
        AdminError::answer(error::status(error.code), &error.detail).retry_like(&error)
    })
}

//! `/api/v1/calls`.

pub(in crate::http) mod adopt;
pub(in crate::http) mod count;
pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod end;
pub(in crate::http) mod events;
pub(in crate::http) mod filter;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod receipt;
pub(in crate::http) mod update;

use crate::{
    db::{self, calls::CallRef},
    domain::{Error, ErrorCode, Result, call::Call},
    http::{HttpState, extract::Identity},
};

fn not_found() -> Error {
    Error::new(ErrorCode::CallNotFound, "There is no such call")
}

/// The call that the caller names, if the caller may see it.
async fn visible(state: &HttpState, identity: &Identity, name: &str) -> Result<Call> {
    let reference = CallRef::parse(name).ok_or_else(not_found)?;
    db::calls::find(&state.app.db, identity.scope, &reference)
        .await?
        .filter(|call| identity.actor.may_see(call))
        .ok_or_else(not_found)
}

//! Bodies: bounded in size and in time.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::domain::{Error, ErrorCode, Result};

/// The largest body of any route but callbacks, in bytes.
pub(in crate::http) const MOST_BYTES: usize = 256 * 1024;

/// A client that takes longer than this to send its body is cut off.
const DEADLINE: Duration = Duration::from_secs(10);

pub(in crate::http) async fn read(
    headers: &HeaderMap,
    body: Body,
    most_bytes: usize,
) -> Result<Vec<u8>> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most_bytes) {
        return Err(too_large(most_bytes));
    }
    let collected = Limited::new(body, most_bytes).collect();
    match tokio::time::timeout(DEADLINE, collected).await {
        Err(_elapsed) => Err(Error::new(
            ErrorCode::RequestTimeout,
            "The request's body did not arrive within 10 seconds; send it again",
        )),
        Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most_bytes)),
        Ok(Err(_broken)) => Err(Error::new(
            ErrorCode::InvalidRequest,
            "The request's body broke off; send it again",
        )),
    }
}

fn too_large(most_bytes: usize) -> Error {
    Error::new(
        ErrorCode::PayloadTooLarge,
        format!("The request's body must be at most {most_bytes} bytes long"),
    )
}

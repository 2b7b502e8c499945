//! `/api/v1/calls/` is `/api/v1/calls`, without a redirect. Pages keep theirs: their links are
//! relative to it.

use axum::http::{Request, Uri, uri::PathAndQuery};

pub(in crate::http) fn without_trailing_slash<B>(mut request: Request<B>) -> Request<B> {
    let path = request.uri().path();
    let shorter = path.trim_end_matches('/');
    if !path.starts_with("/api/") || shorter.len() == path.len() {
        return request;
    }
    let target = match request.uri().query() {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(target) = PathAndQuery::try_from(target) {
        parts.path_and_query = Some(target);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_fall_away_and_the_query_stays() {
        for (given, expected) in [
            ("/api/v1/calls/", "/api/v1/calls"),
            ("/api/v1//", "/api/v1"),
            ("/api/v1/calls/?x=/", "/api/v1/calls?x=/"),
            ("/api/v1/calls", "/api/v1/calls"),
            ("/docs/", "/docs/"),
            ("/", "/"),
        ] {
            let request = Request::builder().uri(given).body(()).unwrap();
            assert_eq!(without_trailing_slash(request).uri().to_string(), expected);
        }
    }
}

//! Query parameters: read one by one, unknown ones refused with the nearest known name.

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::domain::{Error, Result, error::FieldProblem};

/// The pairs of a query, decoded, in order.
pub(in crate::http) struct Query {
    pairs: Vec<(String, String)>,
    /// The names of the pairs that are not UTF-8, as far as they can be shown.
    broken: Vec<String>,
}

impl Query {
    pub(in crate::http) fn of(uri: &Uri) -> Self {
        let text = uri.query().unwrap_or_default();
        let broken = text
            .split('&')
            .filter(|pair| percent_decode_str(pair).decode_utf8().is_err())
            .map(|pair| {
                let name = pair.split('=').next().unwrap_or(pair);
                percent_decode_str(name).decode_utf8_lossy().into_owned()
            })
            .collect();
        Self {
            pairs: serde_urlencoded::from_str(text).unwrap_or_default(),
            broken,
        }
    }

    /// Every value of a parameter that may be repeated.
    pub(in crate::http) fn all(&self, name: &str) -> Vec<&str> {
        self.pairs()
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// `VALIDATION_FAILED` when it is given more than once.
    pub(in crate::http) fn one(&self, name: &str) -> Result<Option<&str>> {
        match self.all(name).as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(Error::field(name, "repeated", "must be given at most once")),
        }
    }

    /// A parameter that must parse.
    ///
    /// # Errors
    /// `VALIDATION_FAILED`, saying what it must be.
    pub(in crate::http) fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        must: &str,
    ) -> Result<Option<T>> {
        self.one(name)?
            .map(|text| {
                text.parse()
                    .map_err(|_| Error::field(name, "invalid", must))
            })
            .transpose()
    }

    pub(in crate::http) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// # Errors
    /// `VALIDATION_FAILED` for a parameter that `known` does not hold (`metadata[…]` by its prefix),
    /// for one that is not UTF-8 and for a NUL character.
    pub(in crate::http) fn only(&self, known: &[&str]) -> Result<()> {
        let broken = self.broken.iter().map(|name| FieldProblem {
            pointer: name.replace('\0', "\u{fffd}"),
            code: "utf8",
            message: "must be percent-encoded UTF-8".to_owned(),
        });
        let named = self.pairs().filter_map(|(key, value)| {
            let base = key.split('[').next().unwrap_or(key);
            let (code, message) = if key.contains('\0') || value.contains('\0') {
                ("nul", "must not contain a NUL character".to_owned())
            } else if known.contains(&base) {
                return None;
            } else {
                (
                    "unknown",
                    format!("is not a parameter here; there are: {}", known.join(", ")),
                )
            };
            Some(FieldProblem {
                pointer: key.replace('\0', "\u{fffd}"),
                code,
                message,
            })
        });
        let problems: Vec<FieldProblem> = broken.chain(named).collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::validation(problems))
        }
    }
}

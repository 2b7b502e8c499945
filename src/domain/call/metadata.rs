//! What a customer notes about a call.

use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// The text of a JSON object, passed on as it stands: a list of calls shows it without taking it
/// apart.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Metadata(Box<RawValue>);

impl Metadata {
    /// The object as it is written.
    pub fn text(&self) -> &RawValue {
        &self.0
    }

    /// The object, taken apart.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl From<Box<RawValue>> for Metadata {
    fn from(text: Box<RawValue>) -> Self {
        Self(text)
    }
}

impl From<&Value> for Metadata {
    fn from(object: &Value) -> Self {
        // What a value is written as can be read.
        let text = RawValue::from_string(object.to_string());
        Self(text.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

impl PartialEq for Metadata {
    /// Whether the objects are equal, however they are written.
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get() || self.value() == other.value()
    }
}

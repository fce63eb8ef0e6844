//! Errors as JavaScript gets them: JSON text with code, file, row group, row and column.

use daysum_core::{Error, Location};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Told {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) file: Option<String>,
    pub(crate) row_group: Option<u32>,
    pub(crate) row: Option<u64>,
    pub(crate) column: Option<String>,
}

impl Default for Told {
    fn default() -> Self {
        Self::new("internal", "not told")
    }
}

impl Told {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            file: None,
            row_group: None,
            row: None,
            column: None,
        }
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new("config", message)
    }

    #[must_use]
    pub(crate) fn at(mut self, at: &Location) -> Self {
        self.file = Some(at.object.to_string());
        self.row_group = at.row_group;
        self.row = at.row;
        self.column = at.column.as_deref().map(str::to_owned);
        self
    }
}

impl From<&Error> for Told {
    fn from(error: &Error) -> Self {
        let told = Self::new(error.code(), error.to_string());
        match error.location() {
            Some(at) => told.at(at),
            None => told,
        }
    }
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        (&error).into()
    }
}

impl From<Told> for JsValue {
    fn from(told: Told) -> Self {
        Self::from_str(&serde_json::to_string(&told).expect("texts and numbers are JSON"))
    }
}

//! What can be wrong with a scenario, each in one line that names the place, the value and what is allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file as it was named.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The text is no TOML, or a key is unknown or missing, or its value is of the wrong type.
    #[error("{place}: {message}")]
    Key {
        /// The scenario and the table in it.
        place: String,
        /// What is wrong, and which keys there are.
        message: String,
    },
    /// A value is out of range.
    #[error("{place}{key} = {value} is impossible: {allowed}")]
    Value {
        /// The scenario and the table in it, ending in `: `; empty where there is none.
        place: String,
        /// The key.
        key: String,
        /// The value found.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// No built-in scenario has this name.
    #[error("there is no built-in scenario \"{name}\"; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

impl ScenarioError {
    /// A value that is not allowed.
    pub fn value(key: &str, value: impl Display, allowed: impl Into<String>) -> Self {
        Self::Value {
            place: String::new(),
            key: key.to_owned(),
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }

    /// What the TOML reader found, on one line: where in the text (if it was one), what, and at which key.
    pub fn toml(place: &str, error: &toml::de::Error) -> Self {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim);
        let position = lines
            .next()
            .and_then(|line| line.strip_prefix("TOML parse error at "));
        let message = match position {
            // The lines between show the text with a marker.
            Some(position) => format!("{position}: {}", error.message().replace('\n', " ")),
            None => text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect::<Vec<_>>()
                .join(" "),
        };
        Self::Key {
            place: place.to_owned(),
            message,
        }
    }

    /// The same error found in a table inside `outer`.
    #[must_use]
    pub fn inside(mut self, outer: &str) -> Self {
        match &mut self {
            Self::Value { place, .. } => *place = format!("{outer}: {place}"),
            Self::Key { place, .. } => *place = format!("{outer}: {place}"),
            Self::Read { .. } | Self::Unknown { .. } => {}
        }
        self
    }
}

/// Checks that a value lies in a range. What is not a number never does.
pub fn within<T: PartialOrd + Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), ScenarioError> {
    if range.contains(&value) {
        return Ok(());
    }
    let allowed = format!("it must be from {} to {}", range.start(), range.end());
    Err(ScenarioError::value(key, value, allowed))
}

/// Checks a share: 0 to 1.
pub fn share(key: &str, value: f64) -> Result<(), ScenarioError> {
    within(key, value, 0.0..=1.0)
}

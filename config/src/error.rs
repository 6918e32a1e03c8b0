//! What is wrong with a configuration: every fault, each with its path and its place.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The defaults that are built in.
    Default,
    /// A line of a file.
    File {
        /// The file as it was named.
        name: Arc<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{} cannot be read: {why}; expected a TOML file of settings", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file is not TOML.
    #[error("{file}:{line}:{column}: this is not TOML: {why}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What the parser said.
        why: String,
    },
    /// A setting does not hold what it must.
    #[error("{path} ({origin}): {problem}; expected {expected}")]
    Setting {
        /// Its path, such as `risk.limits[2].hard`.
        path: String,
        /// Where it was set.
        origin: Origin,
        /// What is wrong with it. Never a secret's text.
        problem: String,
        /// What was expected.
        expected: String,
    },
    /// There is no environment of this name.
    #[error("there is no environment `{name}`; expected {expected}")]
    Environment {
        /// What was asked for.
        name: String,
        /// The ones there are.
        expected: String,
    },
}

/// Every fault of a configuration, in the order in which they were met. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The nearest of `known` to what was written, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_if_it_is_near() {
        assert_eq!(nearest("lingr", ["linger", "session"]), Some("linger"));
        assert_eq!(nearest("colour", ["linger", "session"]), None);
    }
}

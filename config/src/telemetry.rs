//! `[telemetry]`: what the programs say about themselves. Outside the configuration version.

use std::path::PathBuf;

use crate::section::Section;
use crate::value::choice;

choice! {
    /// The least that is logged.
    LogLevel {
        /// Failures.
        Error = "error",
        /// And what may become one.
        Warn = "warn",
        /// And what happens.
        #[default]
        Info = "info",
        /// And how.
        Debug = "debug",
        /// And every step.
        Trace = "trace",
    }
}

choice! {
    /// How log lines look.
    LogFormat {
        /// For people.
        #[default]
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// When a log file is put aside and a new one begun.
    Rotation {
        /// Every day, UTC.
        #[default]
        Daily = "daily",
        /// Every hour.
        Hourly = "hourly",
        /// Never.
        Never = "never",
    }
}

/// Logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The least that is logged.
    pub level: LogLevel,
    /// How log lines look.
    pub format: LogFormat,
    /// Whether `/metrics` answers.
    pub metrics: bool,
    /// A file for the log, beside standard error.
    pub file: Option<LogFile>,
}

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// When a new one is begun.
    pub rotation: Rotation,
    /// How many are kept.
    pub keep: u32,
}

impl Telemetry {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self {
            level: section.get("level"),
            format: section.get("format"),
            metrics: section.get("metrics"),
            file: section.optional_group("file", |file| LogFile {
                path: {
                    let written = file.get_if::<String>("path", |path| !path.is_empty(), "a file's path");
                    file.resolve(&written)
                },
                rotation: file.optional("rotation").unwrap_or_default(),
                keep: file.optional_if("keep", |n| *n > 0, "a whole number above 0").unwrap_or(7),
            }),
        }
    }
}

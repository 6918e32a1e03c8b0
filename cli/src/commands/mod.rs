//! The commands, a file each: its arguments and what it does.

pub mod breaker;
pub mod config;
pub mod demo;
pub mod dlq;
pub mod halt;
pub mod journal;
pub mod model;
pub mod play;
pub mod produce;
pub mod registry;
pub mod replay;
pub mod seek;
pub mod status;
pub mod tail;
pub mod topics;
pub mod up;
pub mod verify_journal;

use tapewatch_schemas::Time;

use crate::CliError;

/// Checks what is said with `--who` or `--why`, as every way to say it does.
pub(crate) fn words(name: &str, text: &str) -> Result<(), CliError> {
    tapewatch_consumers::words::check(&format!("--{name}"), text).map_err(CliError::Usage)
}

/// A range of time that is asked for ends after it begins.
pub(crate) fn in_order(from: Option<Time>, to: Option<Time>) -> Result<(), CliError> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            let text =
                format!("--from {from} is after --to {to}: expected a range that begins before it ends");
            Err(CliError::Usage(text))
        }
        _ => Ok(()),
    }
}

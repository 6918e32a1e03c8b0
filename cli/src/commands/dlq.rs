//! `tapewatch dlq list|show`: what could not be used, and why.

mod list;
mod show;

use std::process::ExitCode;

use clap::Subcommand;
use tapewatch_eventlog::Log;
use tapewatch_schemas::catalogue::dlq_topic;

use crate::decoded::Decoder;
use crate::{Access, CliError, Context, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch dlq list                                what could not be used, by topic, worker and reason
  tapewatch dlq show exec.reports.v1 3 17           one dead letter: why, its headers, its bytes
  tapewatch tail exec.reports.v1.dlq --json         all of them, a line each";

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// List dead letters by topic, worker and reason: how many, since when, and one to look at
    List(list::Args),
    /// Show one dead letter: why, its headers, and its bytes, decoded as far as that goes
    Show(show::Args),
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    match command {
        Command::List(args) => list::run(&args, log.as_ref(), context),
        Command::Show(args) => show::run(&args, log.as_ref(), context, Decoder::new(&settings)?),
    }
}

/// The dead-letter topic that is meant by its own name or by its source's, and its partitions.
fn letters_of(log: &dyn Log, named: &str) -> Result<(String, i32), CliError> {
    let source = named.strip_suffix(".dlq").unwrap_or(named);
    let topic = dlq_topic(source).to_string();
    match topic_name::partitions(log, &topic) {
        Ok(partitions) => Ok((topic, partitions)),
        // Named by its source, it is corrected by its source.
        Err(error) => Err(topic_name::partitions(log, source).err().unwrap_or(error)),
    }
}

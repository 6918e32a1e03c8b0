//! `tapewatch dlq …`: what could not be used, why, and sending it back, repaired or as it was.

mod export;
mod filter;
mod import;
mod list;
mod redrive;
mod release;
mod show;
mod who;

use std::process::ExitCode;

use clap::Subcommand;
use tapewatch_eventlog::Log;
use tapewatch_schemas::catalogue::{Pattern, WORKERS, dlq_topic};

use crate::decoded::Decoder;
use crate::{Access, CliError, Context, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch dlq list                                what could not be used, by topic, worker and reason
  tapewatch dlq show exec.reports.v1 3 17           one dead letter: why, its headers, its bytes
  tapewatch dlq redrive exec.reports.v1 --dry-run   what would be sent back
  tapewatch dlq export exec.reports.v1 > bad.jsonl  to repair them …
  tapewatch dlq import bad.jsonl --why 'repaired'   … and send them back";

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// List dead letters by topic, worker and reason: how many, since when, and one to look at
    List(list::Args),
    /// Show one dead letter: why, its headers, and its bytes, decoded as far as that goes
    Show(show::Args),
    /// Send dead letters back to the worker that wrote them, in order and each once: to <topic>.redrive, never to
    /// the source
    Redrive(redrive::Args),
    /// Give up what retention has removed of a held key's letters, so that the key goes on
    Release(release::Args),
    /// Write dead letters as JSON lines, for a person to repair
    Export(export::Args),
    /// Send repaired dead letters back, checked against the schema: all of them, or none
    Import(import::Args),
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    match command {
        Command::List(args) => list::run(&args, log.as_ref(), context),
        Command::Show(args) => show::run(&args, log.as_ref(), context, Decoder::new(&settings)?),
        Command::Redrive(args) => redrive::run(args, &log, context, &settings),
        Command::Release(args) => release::run(args, &log, &settings),
        Command::Export(args) => export::run(args, &log, &settings),
        Command::Import(args) => import::run(args, &log, &settings),
    }
}

/// The dead-letter topic that is meant by its own name or by its source's, and its partitions.
fn letters_of(log: &dyn Log, named: &str) -> Result<(String, i32), CliError> {
    let source = named.strip_suffix(".dlq").unwrap_or(named);
    let topic = dlq_topic(source).to_string();
    let error = match topic_name::partitions(log, &topic) {
        Ok(partitions) => return Ok((topic, partitions)),
        Err(error) => error,
    };
    let read = WORKERS.iter().any(|worker| worker.reads().any(|name| name == source));
    if Pattern::of(source).is_some() && !read {
        return Err(CliError::Input(format!(
            "{source} has no dead letters: no worker reads it. `tapewatch dlq list` shows the topics that have some"
        )));
    }
    // Named by its source, it is corrected by its source.
    Err(topic_name::partitions(log, source).err().unwrap_or(error))
}

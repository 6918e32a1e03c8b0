//! `tapewatch journal export|checkpoint|key`: journals outside the log.

mod checkpoint;
mod export;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use tapewatch_consumers::scan::Scanner;
use tapewatch_consumers::worker::wall;
use tapewatch_consumers::workers::{self, NAMES};
use tapewatch_eventlog::{Log, TopicPartition};
use tapewatch_schemas::catalogue::journal_topic;
use tapewatch_schemas::journal::JournalRecord;

use super::replay;
use crate::journal::chain::Read;
use crate::journal::checkpoint::{Checkpoint, Head, Statement};
use crate::journal::finding::{Checked, Finding, Selection};
use crate::journal::key;
use crate::journal::line::{Line, Record, hex};
use crate::{Access, CliError, Context, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch journal key auditor.key                    a key of one's own; prints its public part
  tapewatch journal export journals.jsonl              the journals of all workers
  tapewatch journal checkpoint --key auditor.key journals.jsonl
                                                       signs where they end, in the same file
  tapewatch journal checkpoint --key auditor.key >> checkpoints.jsonl
                                                       signs where the log's journals end now
  tapewatch verify-journal journals.jsonl --key PUBLIC

The file is JSON lines: a journal record each, its bytes as they stand in the log in hex, and signed checkpoints.
The hashes are of those bytes, which the worker sealed before it wrote them. The offset and the publication time
beside them came after, from the log: they say where to look, no result rests on them, and no check vouches for them.
A checkpoint names the last record of every journal of a worker: what is cut off later, is seen by it. So keep
checkpoints (and the public key) where whoever can change the log cannot reach them.";

/// What to do with journals.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Write journals to a file, or to standard output: JSON lines that can be checked without the log
    Export(export::Args),
    /// Sign where journals end: those of a file, appended to it, or those of the log, on standard output
    Checkpoint(checkpoint::Args),
    /// Make a key that signs checkpoints, in a file that nobody else may read; print its public part
    Key {
        /// The file, which must not be there yet
        file: PathBuf,
    },
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    match command {
        Command::Export(args) => export::run(&args, context),
        Command::Checkpoint(args) => checkpoint::run(&args, context),
        Command::Key { file } => {
            let public = key::make(&file)?;
            writeln!(io::stdout().lock(), "{public}")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The journals of a log that are selected, and are there.
pub(super) struct Chosen {
    log: Arc<dyn Log>,
    journals: Vec<(&'static str, TopicPartition)>,
}

/// Chooses journals, by worker and partition.
///
/// # Errors
/// [`CliError::Usage`] if a partition is named that there is not, or the log's.
pub(super) fn chosen(context: &Context, selection: &Selection) -> Result<Chosen, CliError> {
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let selected = |name: &&str| selection.worker.as_deref().is_none_or(|only| only == *name);
    let names: Vec<&str> = match &selection.worker {
        Some(_) => NAMES.into_iter().filter(selected).collect(),
        None => workers::at_work(&settings, log.as_ref())?,
    };
    let mut tasks = Vec::new();
    for name in &names {
        tasks.push(topic_name::partitions(log.as_ref(), journal_topic(name).as_str())?);
    }
    let mut journals = Vec::new();
    for (worker, of) in names.into_iter().zip(replay::chosen(&selection.partitions, &tasks)?) {
        let of = of.into_iter().filter(|partition| selection.has(worker, *partition));
        journals.extend(of.map(|partition| (worker, TopicPartition::new(journal_topic(worker), partition))));
    }
    Ok(Chosen { log, journals })
}

impl Chosen {
    /// Shows every record: as a line of an export, and as what a check takes.
    pub(super) fn each(
        &self,
        mut show: impl FnMut(Record, Read) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut scanner = Scanner::new(Arc::clone(&self.log))?;
        for (worker, at) in &self.journals {
            scanner.scan::<CliError>(at, 0, |record| {
                let bytes = record.value.unwrap_or_default();
                let opened = JournalRecord::open(bytes);
                let line = Record {
                    worker: (*worker).into(),
                    partition: at.partition,
                    sequence: opened.as_ref().ok().map(|opened| opened.sequence),
                    offset: record.offset,
                    published: record.timestamp,
                    bytes: hex(bytes),
                };
                let stands = format!("{at} offset {}", record.offset);
                show(line, Read { stands, said: None, record: opened })
            })?;
        }
        Ok(())
    }
}

/// A checkpoint of each worker whose journals were checked, signed.
fn signed(checked: &Checked, key: &ed25519_dalek::SigningKey) -> Vec<Checkpoint> {
    let now = wall();
    let mut statements: Vec<Statement> = Vec::new();
    for journal in &checked.journals {
        let Some(sequence) = journal.last else { continue };
        let head = Head { partition: journal.partition, sequence, hash: journal.hash.clone() };
        if let Some(last) = statements.last_mut().filter(|last| last.worker == journal.worker) {
            last.heads.push(head);
        } else {
            let worker = journal.worker.clone();
            statements.push(Statement { worker, time: now, heads: vec![head] });
        }
    }
    statements.into_iter().map(|statement| statement.sign(key)).collect()
}

/// What is not whole is not signed.
fn whole(checked: &Checked) -> Result<(), CliError> {
    let Some(first) = checked.findings.first() else { return Ok(()) };
    let text = format!(
        "nothing was signed: {}. `tapewatch verify-journal` names all that is wrong",
        sentence(first)
    );
    Err(CliError::Failed(text))
}

/// A finding as one line.
pub(super) fn sentence(finding: &Finding) -> String {
    let Finding { kind, worker, partition, first, last, what } = finding;
    let partition = partition.map_or_else(String::new, |partition| format!("/{partition}"));
    let range = match (first, last) {
        (Some(first), Some(last)) if first == last => format!(" sequence {first}"),
        (Some(first), Some(last)) => format!(" sequence {first} to {last}"),
        _ => String::new(),
    };
    format!("{worker}{partition}{range}: {kind}: {what}")
}

fn write_line(out: &mut dyn Write, line: &Line) -> io::Result<()> {
    writeln!(out, "{}", line.text())
}

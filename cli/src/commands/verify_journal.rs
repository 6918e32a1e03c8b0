//! `tapewatch verify-journal`: the hash chains of journals, from an export alone or from a log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tapewatch_schemas::journal::{JournalError, JournalRecord};

use super::journal::{each, sentence};
use crate::interrupt::Interrupt;
use crate::journal::chain::{Checker, Read};
use crate::journal::checkpoint::Checkpoint;
use crate::journal::finding::{Checked, Journal, Selection};
use crate::journal::key::Public;
use crate::journal::line::{Line, unhex};
use crate::{CliError, Context, exit};

const EXAMPLES: &str = "\
Examples:
  tapewatch verify-journal journals.jsonl --key 1f6a…    an export with its checkpoints, signed by this key
  tapewatch verify-journal sqlite:tapewatch.db --checkpoints kept.jsonl --key auditor.pub

Exit code 0: every chain is whole, and reaches as far as every checkpoint says. 1: something was removed, changed,
reordered or cut off, or a checkpoint is not signed by the key: each is named by worker, partition and sequence.
5: the file is not there, or is no export. 7: a key was named, and no checkpoint of it covers some journal: what
was cut off at that one's end cannot be told. Without --key, a checkpoint proves no more than that whoever holds
the key that it names has signed it.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An export of `journal export`, or a log: sqlite:PATH or kafka:HOST:PORT,…
    #[arg(value_name = "FILE|URL")]
    what: String,
    /// Heed only checkpoints that this key signed: 64 hex digits, or a file; may be given several times
    #[arg(long, value_name = "PUBLIC")]
    key: Vec<String>,
    /// More checkpoints, from a file of their own
    #[arg(long, value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// Of this worker alone
    #[arg(long, value_name = "WORKER")]
    worker: Option<String>,
    /// Of this partition alone; may be given several times
    #[arg(long, value_name = "P")]
    partition: Vec<i32>,
    /// One JSON object a journal and a finding, and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    // Nothing is written, so nothing is left half done.
    Interrupt::at_once()?;
    let keys = args.key.iter().map(|key| Public::named(key)).collect::<Result<Vec<_>, _>>()?;
    let selection = Selection { worker: args.worker.clone(), partitions: args.partition.clone() };
    let checked = if ["sqlite:", "kafka:"].iter().any(|scheme| args.what.starts_with(scheme)) {
        let mut named = context.clone();
        named.global.log = Some(args.what.clone());
        let mut checker = Checker::new(&checkpoints(&args.checkpoints)?, keys, selection.clone());
        each(&named, &selection, |line, read| {
            checker.take(&(line.worker, line.partition), read);
            Ok(())
        })?;
        checker.finish()
    } else {
        check_file(Path::new(&args.what), &args.checkpoints, keys, selection)?
    };
    if checked.journals.is_empty() && checked.findings.is_empty() {
        return Err(CliError::Input(format!("{}: there is no journal record in it", args.what)));
    }
    if args.json {
        print_json(&checked)?;
    } else {
        print(&checked, !args.key.is_empty(), context)?;
    }
    Ok(ExitCode::from(match (checked.findings.is_empty(), checked.uncovered.is_empty()) {
        (false, _) => exit::FAILED,
        (true, false) => exit::NOT_VERIFIABLE,
        (true, true) => exit::OK,
    }))
}

/// Checks an export: its checkpoints first, wherever they stand in it.
pub(super) fn check_file(
    file: &Path,
    more: &[PathBuf],
    keys: Vec<Public>,
    selection: Selection,
) -> Result<Checked, CliError> {
    let files: Vec<PathBuf> = std::iter::once(file.to_owned()).chain(more.iter().cloned()).collect();
    let mut checker = Checker::new(&checkpoints(&files)?, keys, selection);
    lines(file, |stands, line| {
        let Line::Record(line) = line else { return };
        let record = unhex(&line.bytes)
            .ok_or_else(|| JournalError::Unreadable("its bytes are no hex".to_owned()))
            .and_then(|bytes| JournalRecord::open(&bytes));
        checker.take(&(line.worker, line.partition), Read { stands, said: line.sequence, record });
    })?;
    Ok(checker.finish())
}

/// Every checkpoint of some files, with where it stands.
fn checkpoints(files: &[PathBuf]) -> Result<Vec<(String, Checkpoint)>, CliError> {
    let mut found = Vec::new();
    for file in files {
        lines(file, |stands, line| {
            if let Line::Checkpoint(checkpoint) = line {
                found.push((stands, checkpoint));
            }
        })?;
    }
    Ok(found)
}

fn lines(file: &Path, mut show: impl FnMut(String, Line)) -> Result<(), CliError> {
    let named = file.display();
    let wrong = |why: String| CliError::Input(format!("{named}: {why}"));
    let open = File::open(file);
    let open =
        open.map_err(|error| wrong(format!("{error}; expected an export of `tapewatch journal export`")))?;
    for (number, text) in (1..).zip(BufReader::new(open).lines()) {
        let text = text.map_err(|error| wrong(format!("line {number}: {error}")))?;
        let line = Line::read(&text).map_err(|why| wrong(format!("line {number}: {why}")))?;
        show(format!("{named} line {number}"), line);
    }
    Ok(())
}

fn print_json(checked: &Checked) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for journal in &checked.journals {
        let uncovered = checked.uncovered.contains(&(journal.worker.clone(), journal.partition));
        let mut line = json!({"journal": journal});
        line["journal"]["covered"] = json!(!uncovered && journal.signed.is_some());
        writeln!(out, "{line}")?;
    }
    for finding in &checked.findings {
        writeln!(out, "{}", json!({"finding": finding}))?;
    }
    Ok(())
}

fn print(checked: &Checked, named: bool, context: &Context) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for journal in &checked.journals {
        let Journal { worker, partition, records, first, last, signed, .. } = journal;
        let range = match (first, last) {
            (Some(first), Some(last)) => format!("sequence {first} to {last}"),
            _ => "none that can be placed".to_owned(),
        };
        let signed = match signed {
            Some((sequence, time)) => format!("signed up to {sequence} at {time}"),
            None => "no checkpoint covers it".to_owned(),
        };
        writeln!(out, "{worker}/{partition}: {records} records, {range}; {signed}")?;
    }
    for finding in &checked.findings {
        writeln!(out, "{} {}", context.paint.red("wrong:"), sentence(finding))?;
    }
    if checked.more > 0 {
        writeln!(out, "… and {} more", checked.more)?;
    }
    if !checked.uncovered.is_empty() {
        let places: Vec<String> =
            checked.uncovered.iter().map(|(worker, at)| format!("{worker}/{at}")).collect();
        let places = places.join(", ");
        writeln!(
            out,
            "not verifiable: no checkpoint of the key covers {places}: what was cut off at the end cannot be told"
        )?;
    }
    if !named && !checked.keys.is_empty() {
        let keys: Vec<&str> = checked.keys.iter().map(String::as_str).collect();
        writeln!(out, "signed by {}: if that is your key, say so with --key", keys.join(", "))?;
    }
    Ok(())
}

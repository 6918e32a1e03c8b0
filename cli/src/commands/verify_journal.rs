//! `tapewatch verify-journal`: the hash chains of journals, from an export alone or from a log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tapewatch_consumers::count::counted;
use tapewatch_schemas::journal::{JournalError, JournalRecord};

use super::journal::{chosen, sentence};
use crate::interrupt::Interrupt;
use crate::journal::chain::{Checker, Read as Taken};
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
was cut off at that one's end cannot be told; or checkpoints know of journals that an export in part leaves out:
those were not checked (--worker and --partition say that no more was wanted). Without --key, a checkpoint proves no more than that whoever holds
the key that it names has signed it.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An export of `journal export` (- is standard input), or a log: sqlite:PATH or kafka:HOST:PORT,…
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
        chosen(&named, &selection)?.each(|line, read| {
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
    let whole = checked.uncovered.is_empty() && checked.left_out.is_empty();
    Ok(ExitCode::from(match (checked.findings.is_empty(), whole) {
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
    let mut export = Export::open(file)?;
    let (mut found, mut heads) = (Vec::new(), Vec::new());
    export.lines(|stands, line| match line {
        Line::Checkpoint(checkpoint) => found.push((stands, checkpoint)),
        Line::Head(head) => heads.push(head.selection()),
        Line::Record(_) => {}
    })?;
    found.extend(checkpoints(more)?);
    let mut checker = Checker::new(&found, keys, selection).of_export(heads);
    export.lines(|stands, line| {
        let Line::Record(line) = line else { return };
        let record = unhex(&line.bytes)
            .ok_or_else(|| JournalError::Unreadable("its bytes are no hex".to_owned()))
            .and_then(|bytes| JournalRecord::open(&bytes));
        checker.take(&(line.worker, line.partition), Taken { stands, said: line.sequence, record });
    })?;
    Ok(checker.finish())
}

/// Every checkpoint of some files, with where it stands.
fn checkpoints(files: &[PathBuf]) -> Result<Vec<(String, Checkpoint)>, CliError> {
    let mut found = Vec::new();
    for file in files {
        Export::open(file)?.lines(|stands, line| {
            if let Line::Checkpoint(checkpoint) = line {
                found.push((stands, checkpoint));
            }
        })?;
    }
    Ok(found)
}

/// A file of lines that is read more than once.
struct Export {
    name: String,
    file: File,
}

impl Export {
    /// Opens a file, or standard input for `-`. What cannot be read twice (a pipe) is kept in a temporary file.
    fn open(path: &Path) -> Result<Self, CliError> {
        let input = path == Path::new("-");
        let name = if input { "standard input".to_owned() } else { path.display().to_string() };
        let wrong = |error: io::Error| {
            CliError::Input(format!("{name}: {error}; expected an export of `tapewatch journal export`"))
        };
        let mut source: Box<dyn Read> = if input {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).map_err(wrong)?;
            let kind = file.metadata().map_err(wrong)?;
            if kind.is_file() || kind.is_dir() {
                return Ok(Self { name, file });
            }
            Box::new(file)
        };
        let mut file = tempfile::tempfile().map_err(CliError::Temporary)?;
        let mut piece = vec![0; 1 << 16];
        loop {
            let length = match source.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(wrong)?,
            };
            if length == 0 {
                return Ok(Self { name, file });
            }
            file.write_all(&piece[..length]).map_err(CliError::Temporary)?;
        }
    }

    /// Shows every line, from the first, with where it stands.
    fn lines(&mut self, mut show: impl FnMut(String, Line)) -> Result<(), CliError> {
        let Self { name, file } = self;
        let wrong = |why: String| CliError::Input(format!("{name}: {why}"));
        file.rewind().map_err(|error| wrong(error.to_string()))?;
        let mut lines = BufReader::new(file);
        let mut text = String::new();
        for number in 1.. {
            text.clear();
            let read =
                lines.read_line(&mut text).map_err(|error| wrong(format!("line {number}: {error}")))?;
            if read == 0 {
                break;
            }
            let line = Line::read(text.trim_end()).map_err(|why| {
                wrong(if text.ends_with('\n') {
                    format!("line {number}: {why}")
                } else {
                    format!(
                        "the file ends within line {number}: it was cut off there, or is still being written. \
                         Nothing of it was checked: export it again, or remove that line to check what is before it"
                    )
                })
            })?;
            show(format!("{name} line {number}"), line);
        }
        Ok(())
    }
}

fn print_json(checked: &Checked) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for journal in &checked.journals {
        let mut line = json!({"journal": journal});
        line["journal"]["covered"] = json!(journal.named.is_some());
        writeln!(out, "{line}")?;
    }
    for (worker, partition) in &checked.left_out {
        writeln!(out, "{}", json!({"not_checked": {"worker": worker, "partition": partition}}))?;
    }
    for finding in &checked.findings {
        writeln!(out, "{}", json!({"finding": finding}))?;
    }
    Ok(())
}

fn print(checked: &Checked, named: bool, context: &Context) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for journal in &checked.journals {
        let Journal { worker, partition, records, first, last, signed, named, .. } = journal;
        let range = match (first, last) {
            (Some(first), Some(last)) => format!("sequence {first} to {last}"),
            _ => "none that can be placed".to_owned(),
        };
        let signed = match (named, signed) {
            (Some((sequence, time)), signed) if named == signed => {
                format!("signed up to {sequence} at {time}")
            }
            (Some((sequence, time)), _) => format!("not what was signed up to {sequence} at {time}"),
            (None, _) => "no checkpoint covers it".to_owned(),
        };
        let records = counted(*records, "record");
        writeln!(out, "{worker}/{partition}: {records}, {range}; {signed}")?;
    }
    for finding in &checked.findings {
        writeln!(out, "{} {}", context.paint.red("wrong:"), sentence(finding))?;
    }
    if checked.more > 0 {
        writeln!(out, "… and {} more", checked.more)?;
    }
    if !checked.left_out.is_empty() {
        let places: Vec<String> =
            checked.left_out.iter().map(|(worker, at)| format!("{worker}/{at}")).collect();
        let places = places.join(", ");
        writeln!(out, "not checked: {places}: the export leaves them out, and checkpoints know of them")?;
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

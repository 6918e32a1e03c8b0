use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use serde_json::json;
use tapewatch_consumers::count::counted;
use tapewatch_eventlog::dead_letter::{Letter, RangeBody};
use tapewatch_eventlog::{Log, RecordRef};
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::Pattern;

use super::letters_of;
use crate::interrupt::Interrupt;
use crate::{CliError, Context, scan};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of this topic alone, named as its source or with .dlq
    topic: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// What is listed together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    topic: String,
    worker: String,
    reason: String,
}

/// What there is of it.
#[derive(Debug)]
struct Found {
    /// Records that could not be used.
    records: u64,
    /// Letters that say so; one may stand for a range.
    letters: u64,
    first: Time,
    last: Time,
    /// The first letter: partition and offset in the dead-letter topic.
    sample: (i32, i64),
    error: String,
}

pub(super) fn run(args: &Args, log: &dyn Log, context: &Context) -> Result<ExitCode, CliError> {
    let interrupt = Interrupt::listen()?;
    let topics: Vec<(String, i32)> = match &args.topic {
        Some(topic) => vec![letters_of(log, topic)?],
        None => log
            .topics()?
            .into_iter()
            .filter(|topic| matches!(Pattern::of(topic.name.as_str()), Some(Pattern::DeadLetters(_))))
            .map(|topic| (topic.name.to_string(), topic.partitions))
            .collect(),
    };
    let mut all = BTreeMap::new();
    for (topic, partitions) in topics {
        let spans = scan::whole(log, &topic, partitions)?;
        let whole = scan::read(log, &spans, &interrupt, |record| {
            count(record, &mut all);
            Ok(ControlFlow::Continue(()))
        })?;
        if !whole {
            return Err(CliError::Interrupted("not all dead letters were read".into()));
        }
    }
    if args.json {
        print_json(&all)?;
    } else {
        print_table(&all, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The groups a letter belongs to, with how many records each: a range letter may have several reasons.
fn count(record: &RecordRef<'_>, all: &mut BTreeMap<Group, Found>) {
    let (topic, worker, error, reasons) = if let Some(letter) = Letter::read(record) {
        let body = letter.range.then(|| RangeBody::read(record.value.unwrap_or_default()).ok()).flatten();
        let reasons = match body {
            Some(body) => body.reasons.into_iter().map(|entry| (entry.reason, entry.count)).collect(),
            None => vec![(letter.reason.to_string(), 1)],
        };
        (letter.source.topic.to_string(), letter.worker, letter.error, reasons)
    } else {
        let name = record.topic.as_str();
        let source = name.strip_suffix(".dlq").unwrap_or(name).to_owned();
        (source, "-".into(), "its headers are not tapewatch's".into(), vec![("foreign".into(), 1)])
    };
    for (reason, records) in reasons {
        let group = Group { topic: topic.clone(), worker: worker.clone(), reason };
        let found = all.entry(group).or_insert_with(|| Found {
            records: 0,
            letters: 0,
            first: record.timestamp,
            last: record.timestamp,
            sample: (record.partition, record.offset),
            error: error.clone(),
        });
        found.records += records;
        found.letters += 1;
        found.first = found.first.min(record.timestamp);
        found.last = found.last.max(record.timestamp);
    }
}

fn print_json(all: &BTreeMap<Group, Found>) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    for (Group { topic, worker, reason }, found) in all {
        let (partition, offset) = found.sample;
        let line = json!({
            "topic": topic,
            "worker": worker,
            "reason": reason,
            "records": found.records,
            "letters": found.letters,
            "first": found.first.to_string(),
            "last": found.last.to_string(),
            "sample": {"partition": partition, "offset": offset, "error": found.error},
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn print_table(all: &BTreeMap<Group, Found>, context: &Context) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    if all.is_empty() {
        writeln!(out, "no dead letters")?;
        return Ok(());
    }
    let mut topic_before = "";
    for (Group { topic, worker, reason }, found) in all {
        if topic_before != topic {
            writeln!(out, "{}", context.paint.bold(topic))?;
            topic_before = topic;
        }
        let (partition, offset) = found.sample;
        let range = if found.records > found.letters {
            format!(" in {}", counted(found.letters, "letter"))
        } else {
            String::new()
        };
        writeln!(
            out,
            "  {reason}, by {worker}: {}{range}, {} to {}",
            found.records, found.first, found.last
        )?;
        writeln!(out, "    {}", found.error)?;
        let hint = format!("tapewatch dlq show {topic} {partition} {offset}");
        writeln!(out, "    {}", context.paint.dim(&hint))?;
    }
    Ok(())
}

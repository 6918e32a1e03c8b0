//! `tapewatch tail TOPIC`: the last records, or those from somewhere on, as JSON.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use tapewatch_eventlog::{Log, RecordRef, TopicPartition};
use tapewatch_schemas::Time;

use crate::decoded::Decoder;
use crate::interrupt::Interrupt;
use crate::scan::{self, Span};
use crate::{Access, CliError, Context, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch tail alerts.v1                             the last 10 alerts
  tapewatch tail alerts.v1 --follow                    and those to come
  tapewatch tail exec.reports.v1 -n 1 --json | jq      one record, to look at
  tapewatch tail risk.metrics.v1 --from 2026-05-02T12:00:00Z
  tapewatch tail journal.risk.v1 --partition 3 --from 100 -n 5";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The topic
    topic: String,
    /// So many records: the last, or with --from the first from there [default: 10, with --from all]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    number: Option<u32>,
    /// From this offset of each partition, or from this publication time (RFC 3339 with an offset)
    #[arg(long, value_name = "OFFSET|TIME", value_parser = parse_from)]
    from: Option<From>,
    /// This partition alone
    #[arg(long, value_name = "P")]
    partition: Option<i32>,
    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// One JSON object a line: topic, partition, offset, timestamp, key, value
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Offset(i64),
    Time(Time),
}

fn parse_from(text: &str) -> Result<From, String> {
    match text.parse::<i64>() {
        Ok(offset) if offset >= 0 => Ok(From::Offset(offset)),
        Ok(_) => Err("an offset is 0 or more".into()),
        Err(_) => Time::parse(text)
            .map(From::Time)
            .map_err(|_| "expected an offset such as 42, or a time such as 2026-05-02T12:00:00Z".into()),
    }
}

/// Runs it.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let mut tail = Tail {
        log: log.as_ref(),
        spans: spans(log.as_ref(), &args)?,
        interrupt: Interrupt::listen()?,
        printer: Printer {
            out: BufWriter::new(io::stdout().lock()),
            decoder: Decoder::new(&settings)?,
            json: args.json,
            context,
        },
    };
    let whole = match (args.from, args.number) {
        (Some(_), number) => tail.first(number)?,
        (None, number) => tail.last(number.unwrap_or(10) as usize)?,
    };
    tail.printer.out.flush()?;
    if args.follow && whole {
        tail.follow()?;
    } else if tail.interrupt.asked() {
        return Err(CliError::Interrupted("not all records were read".into()));
    }
    Ok(ExitCode::SUCCESS)
}

/// What there is to read, from where `--from` says.
fn spans(log: &dyn Log, args: &Args) -> Result<Vec<Span>, CliError> {
    let count = topic_name::partitions(log, &args.topic)?;
    let mut spans = scan::whole(log, &args.topic, count)?;
    if let Some(partition) = args.partition {
        spans.retain(|span| span.at.partition == partition);
        if spans.is_empty() {
            let last = count - 1;
            let problem = format!("{} has no partition {partition}: they are 0 to {last}", args.topic);
            return Err(CliError::Input(problem));
        }
    }
    for span in &mut spans {
        match args.from {
            Some(From::Offset(offset)) => span.from = span.from.max(offset),
            Some(From::Time(time)) => span.from = log.offset_at(&span.at, time)?,
            None => {}
        }
    }
    Ok(spans)
}

struct Tail<'a> {
    log: &'a dyn Log,
    spans: Vec<Span>,
    interrupt: Interrupt,
    printer: Printer<'a>,
}

impl Tail<'_> {
    /// Prints the first `number` records of the spans, or all. False if it was broken off.
    fn first(&mut self, number: Option<u32>) -> Result<bool, CliError> {
        let mut left = number;
        if left == Some(0) {
            return Ok(true);
        }
        let printer = &mut self.printer;
        scan::read(self.log, &self.spans, &self.interrupt, |record| {
            printer.print(record)?;
            left = left.map(|n| n - 1);
            Ok(if left == Some(0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    /// Prints the last `number` records over all partitions, by publication time. False if interrupted.
    ///
    /// Offsets have gaps, so it looks further back where it found too few.
    fn last(&mut self, number: usize) -> Result<bool, CliError> {
        let mut found: BTreeMap<TopicPartition, VecDeque<(Time, i64, String)>> = BTreeMap::new();
        let mut open = self.spans.clone();
        let mut back = number as i64;
        while number > 0 && !open.is_empty() {
            let near = |span: &Span| Span { from: span.from.max(span.to - back), ..span.clone() };
            let tries: Vec<Span> = open.iter().map(near).collect();
            for span in &open {
                found.remove(&span.at);
            }
            let printer = &self.printer;
            let whole = scan::read(self.log, &tries, &self.interrupt, |record| {
                let at = TopicPartition { topic: record.topic.clone(), partition: record.partition };
                let kept = found.entry(at).or_default();
                if kept.len() == number {
                    kept.pop_front();
                }
                kept.push_back((record.timestamp, record.offset, printer.line(record)));
                Ok(ControlFlow::Continue(()))
            })?;
            if !whole {
                return Ok(false);
            }
            let enough = |at: &TopicPartition| found.get(at).is_some_and(|kept| kept.len() == number);
            let searched =
                |span: &Span| tries.iter().any(|tried| tried.at == span.at && tried.from == span.from);
            open.retain(|span| !enough(&span.at) && !searched(span));
            back = back.saturating_mul(8);
        }
        for line in latest(found, number) {
            writeln!(self.printer.out, "{line}")?;
        }
        Ok(true)
    }

    fn follow(&mut self) -> Result<(), CliError> {
        let starts: Vec<_> = self.spans.iter().map(|span| (span.at.clone(), span.to)).collect();
        let printer = std::cell::RefCell::new(&mut self.printer);
        scan::follow(
            self.log,
            &starts,
            &self.interrupt,
            |record| printer.borrow_mut().print(record).map(|()| ControlFlow::Continue(())),
            || Ok(printer.borrow_mut().out.flush()?),
        )?;
        Ok(self.printer.out.flush()?)
    }
}

/// The last `number` lines by publication time; no partition is reordered.
fn latest(found: BTreeMap<TopicPartition, VecDeque<(Time, i64, String)>>, number: usize) -> Vec<String> {
    let mut all = Vec::new();
    for (at, kept) in found {
        let mut latest = Time::MIN;
        for (time, offset, line) in kept {
            latest = latest.max(time);
            all.push(((latest, at.partition, offset), line));
        }
    }
    all.sort_by_key(|(order, _)| *order);
    let skipped = all.len().saturating_sub(number);
    all.into_iter().skip(skipped).map(|(_, line)| line).collect()
}

struct Printer<'a> {
    out: BufWriter<StdoutLock<'static>>,
    decoder: Decoder,
    json: bool,
    context: &'a Context,
}

impl Printer<'_> {
    fn print(&mut self, record: &RecordRef<'_>) -> Result<(), CliError> {
        let line = self.line(record);
        Ok(writeln!(self.out, "{line}")?)
    }

    fn line(&self, record: &RecordRef<'_>) -> String {
        let whole = self.decoder.record(record);
        if self.json {
            return whole.to_string();
        }
        let place = format!("{} {}/{}@{}", record.timestamp, record.topic, record.partition, record.offset);
        let place = self.context.paint.dim(&place);
        let key = whole["key"].as_str().unwrap_or("-");
        match whole.get("value") {
            Some(value) => format!("{place} {} {value}", self.context.paint.bold(key)),
            None => format!(
                "{place} {} ({}) 0x{}",
                self.context.paint.bold(key),
                whole["undecoded"].as_str().unwrap_or_default(),
                whole["hex"].as_str().unwrap_or_default()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_is_an_offset_or_a_time() {
        assert_eq!(parse_from("42"), Ok(From::Offset(42)));
        assert_eq!(parse_from("1970-01-01T00:00:01Z"), Ok(From::Time(Time(1_000_000))));
        assert!(parse_from("-1").is_err() && parse_from("noon").is_err());
    }

    #[test]
    fn partitions_are_woven_by_time_and_never_reordered() {
        let kept = |lines: &[(i64, i64, &str)]| {
            lines.iter().map(|(time, offset, line)| (Time(*time), *offset, (*line).to_owned())).collect()
        };
        let found = BTreeMap::from([
            (TopicPartition::new("t", 0), kept(&[(1, 0, "a"), (5, 1, "b"), (4, 2, "c")])),
            (TopicPartition::new("t", 1), kept(&[(3, 0, "d"), (6, 1, "e")])),
        ]);
        assert_eq!(latest(found.clone(), 9), ["a", "d", "b", "c", "e"]);
        assert_eq!(latest(found, 2), ["c", "e"]);
    }
}

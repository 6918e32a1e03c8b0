//! `tapewatch produce TOPIC [FILE|-]`: JSON lines in, checked against the schema, and all or nothing written.

pub(crate) mod progress;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tapewatch_config::{Partitioner as Configured, Settings};
use tapewatch_eventlog::{Clock, CommitError, OutRecord, Round, TopicPartition, Writer};
use tapewatch_producers::spool::Courier;
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::{Pattern, TOPICS};
use tapewatch_schemas::checks::{Arrival, Checks};
use tapewatch_schemas::partition::Partitioner;

use progress::Progress;

use crate::decoded::Decoder;
use crate::interrupt::Interrupt;
use crate::json_lines::{Line, Lines, MAX_LINE};
use crate::spool::{Ready, Spool, Spooled};
use crate::{Access, CliError, Context, courier, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch produce exec.reports.v1 fills.jsonl
  zcat fills.jsonl.gz | tapewatch produce exec.reports.v1 -
  tapewatch tail accounts.v1 --json | jq .value        what a record looks like

One JSON object a line. Decimals are strings (\"0.1\") or integers, times RFC 3339 with an offset or integer
microseconds, enums their symbols; a field that is missing takes its default, one that is unknown is refused.
Every line is checked before the first is written. Records get the right key and partition.";

/// A transaction closes at so many records …
const ROUND_RECORDS: usize = 5_000;
/// … or bytes.
const ROUND_BYTES: usize = 4 << 20;
/// How long a command waits at its end for the log to take what is in the spool.
const DRAIN: Duration = Duration::from_secs(10);
/// How often the same round is sent before giving up.
const ATTEMPTS: u32 = 5;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The topic: one that trading systems write
    topic: String,
    /// The file, or - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Write the good records although others are wrong
    #[arg(long)]
    skip_bad: bool,
    /// Print what was done as one JSON object
    #[arg(long)]
    json: bool,
    /// Where records wait if the log goes away [default: producer.spool.dir, for Kafka]
    #[arg(long = "spool", value_name = "DIR")]
    spool_dir: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    refuse_derived(&args.topic)?;
    let log = context.open(&settings, Access::Existing)?;
    let partitions = topic_name::partitions(log.as_ref(), &args.topic)?;
    let mut lines = Lines::open(&args.file).map_err(|error| {
        let text =
            format!("{} cannot be read: {error}; expected a file of JSON lines, or `-`", args.file.display());
        CliError::Input(text)
    })?;
    let interrupt = Interrupt::listen()?;
    let checker = Checker::new(&args.topic, partitions as u32, &settings)?;
    let (spool, bad) = check(&checker, &mut lines, &interrupt)?;
    let good = spool.count();
    if bad > 0 && !args.skip_bad {
        return Err(CliError::Input(format!(
            "{bad} of {} lines of {} are wrong, and nothing was written. Correct them, or leave them out with \
             --skip-bad",
            bad + good,
            lines.name()
        )));
    }
    let courier = courier::open(&settings, args.spool_dir.as_deref(), &log, ("produce", None))?;
    let mut way = if let Some(courier) = courier {
        Way::Courier(courier)
    } else {
        // A name of its own: nobody is fenced, and no earlier run can be taken for this one.
        let now = Clock::system().now().micros();
        Way::Log(log.writer(&format!("tapewatch.produce.{}.{now}", std::process::id()))?)
    };
    let transactions = write(&mut way, &args.topic, spool, &interrupt)?;
    let waiting = way.drain(&interrupt);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(
            out,
            "{}",
            match waiting {
                None => {
                    json!({"topic": args.topic, "written": good, "left_out": bad, "transactions": transactions})
                }
                Some(waiting) => {
                    json!({"topic": args.topic, "taken": good, "left_out": bad, "in_spool": waiting})
                }
            }
        )?;
    } else if let Some(waiting @ 1..) = waiting {
        writeln!(
            out,
            "{good} records taken for {}; {waiting} wait in the spool, and go first when it is used again",
            args.topic
        )?;
    } else {
        let left_out = if bad > 0 { format!(", {bad} bad lines left out") } else { String::new() };
        let plural = if transactions == 1 { "" } else { "s" };
        writeln!(
            out,
            "{good} records written to {} in {transactions} transaction{plural}{left_out}",
            args.topic
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Only what a user writes may be produced by hand: the rest says where it came from.
fn refuse_derived(topic: &str) -> Result<(), CliError> {
    let inputs = || TOPICS.iter().filter(|topic| !topic.compacted && is_input(topic.name));
    match Pattern::of(topic) {
        Some(Pattern::Fixed(found)) if is_input(found.name) => Ok(()),
        Some(_) => {
            let names: Vec<_> = inputs().map(|topic| topic.name).collect();
            Err(CliError::Input(format!(
                "{topic} is written by tapewatch alone, because its records say what they were made of. Yours \
                 to write are {}",
                names.join(", ")
            )))
        }
        None => Err(CliError::Input(match topic_name::nearest(topic, inputs().map(|topic| topic.name)) {
            Some(near) => format!("there is no topic `{topic}`. Did you mean {near}?"),
            None => format!("there is no topic `{topic}`. `tapewatch topics list` shows those there are"),
        })),
    }
}

fn is_input(topic: &str) -> bool {
    use tapewatch_schemas::catalogue as c;
    let market = [c::MARKET_DATA, c::HEARTBEATS];
    let trading = [c::SIGNALS, c::EXEC_REPORTS, c::POSITIONS, c::ACCOUNTS, c::CONTROL_REQUESTS];
    market.contains(&topic) || trading.contains(&topic)
}

/// Turns lines into records, and says everything that is wrong with one.
pub(crate) struct Checker {
    topic: String,
    partitions: u32,
    partitioner: Partitioner,
    checks: Checks,
    decoder: Decoder,
    clock: Clock,
}

impl Checker {
    pub(crate) fn new(topic: &str, partitions: u32, settings: &Settings) -> Result<Self, CliError> {
        let partitioner = match settings.topics.partitioner {
            Configured::Murmur2 => Partitioner::Murmur2,
            Configured::Crc32 => Partitioner::Crc32,
            Configured::Unchecked => Partitioner::Unchecked,
        };
        let checks = Checks { partitioner, max_skew: settings.runtime.max_skew };
        let decoder = Decoder::writing(settings, &[topic])?;
        let (topic, clock) = (topic.to_owned(), Clock::system());
        Ok(Self { topic, partitions, partitioner, checks, decoder, clock })
    }

    fn record(&self, number: u64, line: &Line<'_>) -> Result<Ready, Vec<String>> {
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong => return Err(vec![format!("the line is longer than {MAX_LINE} bytes")]),
        };
        self.event(number, text)
    }

    /// The record of an event, given as JSON.
    pub(crate) fn event(&self, number: u64, text: &[u8]) -> Result<Ready, Vec<String>> {
        let codec = self.decoder.codec();
        let event = codec.decode_json(&self.topic, text).map_err(|errors| {
            let fields = serde_json::from_slice(text).map_or_else(
                |_| Vec::new(),
                |object| self.checks.fields(&self.topic, &object, &self.arrival()),
            );
            errors
                .iter()
                .map(ToString::to_string)
                .chain(fields.iter().map(ToString::to_string))
                .collect::<Vec<_>>()
        })?;
        let key = Bytes::copy_from_slice(event.key().as_bytes());
        let partition = self.partitioner.assign(&key, self.partitions);
        // What a worker would check, so that nothing is written that becomes a dead letter.
        let wrong = self.checks.all(&event, &Arrival { key: Some(&key), partition, ..self.arrival() });
        if !wrong.is_empty() {
            return Err(wrong.iter().map(ToString::to_string).collect());
        }
        let mut value = Vec::new();
        codec.encode(&event, &mut value).map_err(|error| vec![error.to_string()])?;
        Ok(Ready { line: number, partition: partition as i32, key, value: value.into() })
    }

    /// True if these bytes are of the same event as the others, which were written here. `header` may name the schema of
    /// the first.
    pub(crate) fn gives(&self, bytes: &[u8], header: Option<&[u8]>, written: &[u8]) -> bool {
        let event = |bytes, header| self.decoder.event(&self.topic, bytes, header).ok();
        event(bytes, header).is_some_and(|one| event(written, None) == Some(one))
    }

    /// A record that is published now.
    fn arrival(&self) -> Arrival<'static> {
        Arrival {
            key: None,
            partition: 0,
            partitions: self.partitions,
            timestamp: self.clock.now(),
            fetched: Time::MAX,
        }
    }
}

/// Checks every line, and lists what is wrong on standard error. The good records, and how many were bad.
fn check(checker: &Checker, lines: &mut Lines, interrupt: &Interrupt) -> Result<(Spool, u64), CliError> {
    let name = lines.name().to_owned();
    let mut spool = Spool::new().map_err(CliError::Temporary)?;
    let mut bad = 0;
    let mut progress = Progress::new("checked", None);
    loop {
        let next = lines.next().map_err(|error| CliError::Input(format!("{name}: {error}")))?;
        let Some((number, line)) = next else { break };
        match checker.record(number, &line) {
            Ok(ready) => spool.push(&ready).map_err(CliError::Temporary)?,
            Err(problems) => {
                bad += 1;
                progress.clear();
                let mut err = io::stderr().lock();
                for problem in problems {
                    writeln!(err, "{name}:{number}: {problem}")?;
                }
            }
        }
        progress.show(spool.count() + bad);
        if interrupt.asked() {
            return Err(CliError::Interrupted("nothing was written".into()));
        }
    }
    progress.clear();
    Ok((spool, bad))
}

/// How records come to the log.
enum Way {
    Log(Box<dyn Writer>),
    Courier(Courier),
}

impl Way {
    fn write(&mut self, round: &mut Round, doing: impl FnOnce() -> String) -> Result<(), CliError> {
        match self {
            Self::Log(writer) => {
                commit(writer.as_mut(), round).map_err(|source| CliError::Commit { doing: doing(), source })
            }
            Self::Courier(courier) => match courier.write(round, Duration::MAX) {
                Ok(_) => Ok(()),
                Err(source) => Err(CliError::Spool { doing: format!("{}: ", doing()), source }),
            },
        }
    }

    /// Waits a while for what is in the spool to come to the log. How many records still wait; none without a
    /// spool.
    fn drain(&self, interrupt: &Interrupt) -> Option<u64> {
        let Self::Courier(courier) = self else { return None };
        courier.drain(DRAIN, interrupt.flag());
        Some(courier.counts().waiting)
    }
}

/// Writes the records, a transaction after the other. How many there were.
fn write(way: &mut Way, topic: &str, spool: Spool, interrupt: &Interrupt) -> Result<u64, CliError> {
    let total = spool.count();
    if total == 0 {
        return Ok(0);
    }
    let mut spooled = spool.rewind().map_err(CliError::Temporary)?;
    let (mut written, mut transactions, mut last_line) = (0, 0, 0);
    let done = if matches!(way, Way::Log(_)) { "written" } else { "taken" };
    let mut progress = Progress::new(done, Some(total));
    loop {
        let (mut round, line) = next_round(topic, &mut spooled).map_err(CliError::Temporary)?;
        if round.records.is_empty() {
            progress.clear();
            return Ok(transactions);
        }
        let so_far = || match written {
            0 => format!("none of the records is {done}"),
            _ => format!("{written} of {total} records are {done} (up to line {last_line})"),
        };
        if interrupt.asked() {
            return Err(CliError::Interrupted(so_far()));
        }
        way.write(&mut round, || format!("writing to {topic}, {}", so_far()))?;
        written += round.records.len() as u64;
        (transactions, last_line) = (transactions + 1, line);
        progress.show(written);
    }
}

/// The records of the next transaction, and the line of the last.
fn next_round(topic: &str, spooled: &mut Spooled) -> io::Result<(Round, u64)> {
    let mut round = Round::default();
    let (mut bytes, mut last) = (0, 0);
    while round.records.len() < ROUND_RECORDS && bytes < ROUND_BYTES {
        let Some(Ready { line, partition, key, value }) = spooled.next()? else { break };
        bytes += key.len() + value.len();
        last = line;
        round.records.push(OutRecord {
            target: TopicPartition::new(topic, partition),
            timestamp: None,
            key: Some(key),
            value: Some(value),
            headers: Vec::new(),
        });
    }
    Ok((round, last))
}

/// Sends the same round again while it is certain that nothing of it was written.
fn commit(writer: &mut dyn Writer, round: &Round) -> Result<(), CommitError> {
    let mut attempt = 1;
    loop {
        match writer.commit(round, None) {
            Ok(_) => return Ok(()),
            Err(CommitError::Aborted(_)) if attempt < ATTEMPTS => {
                std::thread::sleep(Duration::from_millis(50 << attempt));
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

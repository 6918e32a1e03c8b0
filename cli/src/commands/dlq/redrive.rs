//! `tapewatch dlq redrive`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tapewatch_config::Settings;
use tapewatch_consumers::count::{are, counted, were};
use tapewatch_consumers::redrive::{Filter, Histogram, Left, Outcome, Request, redrive, survey};
use tapewatch_eventlog::Log;
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue::redrive_topic;

use super::filter::FilterArgs;
use super::letters_of;
use super::who::WhoArgs;
use crate::commands::produce::progress::Progress;
use crate::decoded::shown;
use crate::interrupt::Interrupt;
use crate::{CliError, Context, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch dlq redrive exec.reports.v1 --dry-run
  tapewatch dlq redrive exec.reports.v1 --reason unknown_schema --why 'the schema is known now'
  tapewatch dlq redrive exec.reports.v1 --partition 3 --offsets 17..42 --why 'refused by mistake'
  tapewatch dlq redrive exec.reports.v1 --key P7 --discard --why 'junk, says the desk'

Records go to <topic>.redrive with their original bytes, key and partition, and the worker that wrote the letter
takes them when they come: late, and in the order in which they were published first. What a range letter stands
for is read from the source. Each letter goes once: who sent it and why is written in the same transaction, to
journal.redrive.v1, so a run that was killed is finished by running it again. A record that fails again is a new
letter with one more attempt.";

/// So many keys are shown.
const KEYS: usize = 10;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The topic, named as its source or with .dlq
    topic: String,
    #[command(flatten)]
    filter: FilterArgs,
    /// What was tried so often is not sent again
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: u32,
    /// Give them up: they count as settled, and are not processed
    #[arg(long)]
    discard: bool,
    /// Show what would be sent, by reason, worker, key and hour, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    who: WhoArgs,
    /// Print what was done as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    args: Args,
    log: &Arc<dyn Log>,
    context: &Context,
    settings: &Settings,
) -> Result<ExitCode, CliError> {
    let (letters, _) = letters_of(log.as_ref(), &args.topic)?;
    let topic = TopicName::from(letters.strip_suffix(".dlq").unwrap_or(&letters));
    topic_name::partitions(log.as_ref(), redrive_topic(topic.as_str()).as_str())?;
    let (who, why) = if args.dry_run { Default::default() } else { args.who.said()? };
    let request = Request {
        filter: args.filter.filter()?,
        max_attempts: args.max_attempts,
        discard: args.discard,
        who,
        why,
        ..everything(topic, settings)
    };
    let outcome = if args.dry_run { survey(log, &request)? } else { send(log, &request)? };
    let told = Told { request: &request, outcome: &outcome, dry: args.dry_run };
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", told.json())?;
    } else {
        told.print(&mut out, context)?;
    }
    if outcome.interrupted {
        let (sent, were) = (counted(outcome.sent, "record"), were(outcome.sent));
        let text = format!("{sent} {were} sent; the same command sends the rest");
        return Err(CliError::Interrupted(text));
    }
    Ok(ExitCode::SUCCESS)
}

/// All letters of a topic.
pub(super) fn everything(topic: TopicName, settings: &Settings) -> Request {
    Request {
        in_order: settings.dead_letters.holds(topic.as_str()),
        topic,
        filter: Filter::default(),
        max_attempts: u32::MAX,
        discard: false,
        repairs: None,
        who: String::new(),
        why: String::new(),
    }
}

fn send(log: &Arc<dyn Log>, request: &Request) -> Result<Outcome, CliError> {
    let interrupt = Interrupt::listen()?;
    let mut progress = Progress::new("sent back", None);
    let outcome = redrive(log, request, &mut |sent| {
        progress.show(sent);
        !interrupt.asked()
    });
    progress.clear();
    Ok(outcome?)
}

/// What is said of a run.
struct Told<'a> {
    request: &'a Request,
    outcome: &'a Outcome,
    dry: bool,
}

impl Told<'_> {
    fn json(&self) -> Value {
        let Outcome { sent, transactions, left, histogram, .. } = self.outcome;
        let keys: BTreeMap<String, u64> =
            histogram.keys.iter().map(|(key, count)| (shown(key), *count)).collect();
        let hours: BTreeMap<String, u64> =
            histogram.hours.iter().map(|(hour, count)| (hour.to_string(), *count)).collect();
        json!({
            "topic": self.request.topic,
            "dry_run": self.dry,
            "discard": self.request.discard,
            "records": sent,
            "transactions": transactions,
            "left": left,
            "reasons": histogram.reasons,
            "workers": histogram.workers,
            "keys": keys,
            "other_keys": histogram.other_keys,
            "hours": hours,
        })
    }

    fn print(&self, out: &mut dyn Write, context: &Context) -> Result<(), CliError> {
        let Outcome { left, histogram, .. } = self.outcome;
        let sent = counted(self.outcome.sent, "record");
        let redrive = redrive_topic(self.request.topic.as_str());
        let what = if self.request.discard { " as given up" } else { "" };
        if self.dry {
            writeln!(out, "{sent} would be sent to {redrive}{what}; nothing is written")?;
            print_histogram(histogram, out, context)?;
        } else {
            let transactions = counted(self.outcome.transactions, "transaction");
            writeln!(out, "{sent} sent to {redrive}{what} in {transactions}")?;
        }
        for line in reasons(left, self.request) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// What was not sent, and what to do about it.
pub(super) fn reasons(left: &Left, request: &Request) -> Vec<String> {
    let topic = &request.topic;
    let times = counted(request.max_attempts.into(), "time");
    let lines = [
        (left.before, format!("{} sent back before", were(left.before))),
        (
            left.too_often,
            format!(
                "{} tried {times} or more and {} not sent again: repair with `tapewatch dlq export` and `import`, give \
                 up with --discard, or allow more with --max-attempts",
                were(left.too_often),
                are(left.too_often)
            ),
        ),
        (
            left.held_behind,
            format!(
                "{} held behind a letter of the key that is not sent: choose that one too",
                are(left.held_behind)
            ),
        ),
        (
            left.under_way,
            format!(
                "{} to wait until the worker has read again what was sent back before, of this letter or of its key: \
                 run it again later",
                if left.under_way == 1 { "has" } else { "have" }
            ),
        ),
        (left.gone, format!("{} gone: kept in {topic} alone, whose retention has passed", are(left.gone))),
        (left.foreign, "without headers of tapewatch's: nobody can say which worker to send to".to_owned()),
        (left.beyond, format!("{} more than one run sends: run it again", are(left.beyond))),
    ];
    let told = lines.into_iter().filter(|(count, _)| *count > 0);
    told.map(|(count, text)| format!("not sent: {count} {text}")).collect()
}

fn print_histogram(histogram: &Histogram, out: &mut dyn Write, context: &Context) -> Result<(), CliError> {
    let mut keys: Vec<(String, u64)> =
        histogram.keys.iter().map(|(key, count)| (shown(key), *count)).collect();
    keys.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let more: u64 = keys.iter().skip(KEYS).map(|(_, count)| count).sum::<u64>() + histogram.other_keys;
    keys.truncate(KEYS);
    if more > 0 {
        keys.push(("others, or without a key".to_owned(), more));
    }
    let hours: Vec<(String, u64)> = histogram.hours.iter().map(|(hour, n)| (hour.to_string(), *n)).collect();
    print_bars("reason", histogram.reasons.iter().map(|(name, n)| (name, *n)), out, context)?;
    print_bars("worker", histogram.workers.iter().map(|(name, n)| (name, *n)), out, context)?;
    print_bars("key", keys.iter().map(|(name, n)| (name, *n)), out, context)?;
    print_bars("hour of the letter", hours.iter().map(|(name, n)| (name, *n)), out, context)
}

fn print_bars<N: Display>(
    title: &str,
    counts: impl Iterator<Item = (N, u64)>,
    out: &mut dyn Write,
    context: &Context,
) -> Result<(), CliError> {
    let counts: Vec<(N, u64)> = counts.collect();
    let Some(most) = counts.iter().map(|(_, count)| (*count).max(1)).max() else { return Ok(()) };
    writeln!(out, "{}", context.paint.bold(&format!("by {title}")))?;
    for (name, count) in counts {
        let bar = "#".repeat(((count * 40).div_ceil(most)) as usize);
        writeln!(out, "  {:28} {count:>9}  {}", name.to_string(), context.paint.dim(&bar))?;
    }
    Ok(())
}

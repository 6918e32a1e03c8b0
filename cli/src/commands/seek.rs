//! `tapewatch seek`.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;
use tapewatch_consumers::count::{are, counted};
use tapewatch_consumers::seek::{Request, Sought, Target, seek, seek_in_any_epoch};
use tapewatch_consumers::workers::{self, NAMES};
use tapewatch_eventlog::TopicPartition;
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::EXEC_REPORTS;

use super::words;
use crate::{Access, CliError, Context};

const EXAMPLES: &str = "\
Examples:
  tapewatch seek --worker risk exec.reports.v1/3 1200 --who ada --why 'bad deploy, fills 900 to 1199 are junk'
  tapewatch seek --worker risk exec.reports.v1/3 2026-05-02T12:00:00Z --who ada --why 'start of the day'

The worker must be stopped, and the configuration must be the one that it runs with: under another than its
journal's nothing is moved (exit code 7), unless --new-epoch says that it goes on so. What lies between is
journalled as skipped on purpose: law 1 and replay count it. A position never moves back. An offset that is
the journal's position moves nothing, and sets the group's offsets back to the journal's positions: the way
to undo what an offset tool did. After skipped execution reports, holdings are unknown until the next complete
record of positions.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The worker
    #[arg(long, value_name = "WORKER", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    worker: String,
    /// The input, such as exec.reports.v1/3
    #[arg(value_name = "TOPIC/PARTITION", value_parser = parse_input)]
    input: TopicPartition,
    /// The next offset to take, or a time: the first record published at or after it
    #[arg(value_name = "OFFSET|TIME", value_parser = parse_target)]
    target: Target,
    /// Who decides it
    #[arg(long, value_name = "NAME")]
    who: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Even if a new epoch of the journal begins with it: the worker goes on under other settings or with another
    /// release than it wrote the journal with
    #[arg(long)]
    new_epoch: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

fn parse_input(text: &str) -> Result<TopicPartition, String> {
    let parts = text.rsplit_once('/').filter(|(topic, _)| !topic.is_empty());
    let parsed = parts.and_then(|(topic, partition)| Some((topic, partition.parse::<u16>().ok()?)));
    let (topic, partition) = parsed.ok_or("expected TOPIC/PARTITION, such as exec.reports.v1/3")?;
    Ok(TopicPartition::new(topic, i32::from(partition)))
}

fn parse_target(text: &str) -> Result<Target, String> {
    match text.parse::<i64>() {
        Ok(offset) if offset >= 0 => Ok(Target::Offset(offset)),
        Ok(_) => Err("an offset is 0 or more".into()),
        Err(_) => Time::parse(text)
            .map(Target::Time)
            .map_err(|_| "expected an offset such as 42, or a time such as 2026-05-02T12:00:00Z".into()),
    }
}

/// Runs it.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    words("who", &args.who)?;
    words("why", &args.why)?;
    let settings = context.settings()?;
    let log = context.open(&settings, Access::Existing)?;
    let plan = workers::plan(&args.worker, &settings, log.as_ref(), "seek")?;
    let request = Request { at: args.input, target: args.target, who: args.who, why: args.why };
    let seek = if args.new_epoch { seek_in_any_epoch } else { seek };
    let sought = seek(&plan, &log, &request)?;
    if args.json {
        writeln!(io::stdout(), "{}", json!(sought))?;
    } else {
        print(&sought)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(sought: &Sought) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Sought { worker, topic, partition, from, to, skipped, sequence, .. } = sought;
    if from == to {
        writeln!(out, "{topic}/{partition}: {worker} stands at offset {to}, as before")?;
    } else {
        let skipped = skipped.unsigned_abs();
        writeln!(
            out,
            "{topic}/{partition}: {worker} goes on at offset {to} instead of {from}; {} {} skipped on purpose",
            counted(skipped, "record"),
            are(skipped)
        )?;
    }
    if topic.as_str() == EXEC_REPORTS && from < to {
        writeln!(
            out,
            "what the portfolios of this partition hold is unknown (no_opening) until their next complete positions.v1 record"
        )?;
    }
    for reset in &sought.reset {
        writeln!(
            out,
            "{}/{}: the group stood at offset {}, the journal at {}: the journal's position holds",
            reset.topic, reset.partition, reset.from, reset.to
        )?;
    }
    writeln!(
        out,
        "journalled in {worker}/{partition} as sequence {sequence}; the worker can be started again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_and_targets_are_read() {
        assert_eq!(parse_input("a.v1/3"), Ok(TopicPartition::new("a.v1", 3)));
        for bad in ["a.v1", "/3", "a.v1/-1", "a.v1/x"] {
            assert!(parse_input(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_target("42"), Ok(Target::Offset(42)));
        assert_eq!(parse_target("1970-01-01T00:00:01Z"), Ok(Target::Time(Time::from_secs(1))));
        assert!(parse_target("-1").is_err() && parse_target("soon").is_err());
    }
}

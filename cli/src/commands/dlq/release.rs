//! `tapewatch dlq release`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use tapewatch_config::Settings;
use tapewatch_consumers::count::{are, counted};
use tapewatch_consumers::plan::group_of;
use tapewatch_consumers::redrive::{Release, release};
use tapewatch_consumers::workers::{self, NAMES};
use tapewatch_eventlog::Log;
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue::{redrive_topic, worker};

use super::letters_of;
use super::who::WhoArgs;
use crate::{CliError, topic_name};

const EXAMPLES: &str = "\
Example:
  tapewatch dlq release exec.reports.v1 --key P7 --why 'its letters are older than their retention'

Under `hold_key` a key is held until all of its dead letters came back or were given up. What retention has removed
can do neither: this gives it up. Letters of the key that are still there stay, and come back in their order.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The topic, named as its source or with .dlq
    topic: String,
    /// The key that is held
    #[arg(long, value_name = "KEY")]
    key: String,
    /// By this worker [default: the one that holds keys of the topic]
    #[arg(long, value_name = "WORKER", value_parser = PossibleValuesParser::new(NAMES))]
    worker: Option<String>,
    /// In this partition [default: the key's own; another's holds it if its records are misrouted]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    #[command(flatten)]
    who: WhoArgs,
}

pub(super) fn run(args: Args, log: &Arc<dyn Log>, settings: &Settings) -> Result<ExitCode, CliError> {
    let (letters, count) = letters_of(log.as_ref(), &args.topic)?;
    let topic = TopicName::from(letters.strip_suffix(".dlq").unwrap_or(&letters));
    topic_name::partitions(log.as_ref(), redrive_topic(topic.as_str()).as_str())?;
    let key = args.key.into_bytes();
    let own = workers::partitioner(settings).assign(&key, count.unsigned_abs()) as i32;
    let partition = args.partition.unwrap_or(own);
    if partition >= count {
        let last = count - 1;
        return Err(CliError::Input(format!("{letters} has no partition {partition}: they are 0 to {last}")));
    }
    let reads = |name: &&str| worker(name).is_some_and(|listed| listed.inputs.contains(&topic.as_str()));
    let holder = match args.worker.or_else(|| NAMES.iter().find(|name| reads(name)).map(|&name| name.into()))
    {
        Some(holder) if reads(&holder.as_str()) => holder,
        Some(other) => return Err(CliError::Input(format!("{other} does not read {topic} by key"))),
        None => {
            return Err(CliError::Input(format!("no worker reads {topic} by key, so none holds keys of it")));
        }
    };
    let (who, why) = args.who.said()?;
    let group = group_of(&holder);
    let wanted = Release { topic, partition, key, worker: holder, group, who, why };
    let done = release(log, &wanted)?;
    let mut out = io::stdout().lock();
    let Release { topic, worker, .. } = &wanted;
    match done.through {
        Some(through) => writeln!(
            out,
            "{worker} waits for nothing of the key any more that was published in {topic}/{partition} up to offset \
             {through}"
        )?,
        None => writeln!(out, "nothing is given up: every letter of the key can still be there")?,
    }
    let left = done.left as u64;
    if left > 0 {
        writeln!(
            out,
            "{} of it {} still there: `tapewatch dlq redrive {topic} --key …`",
            counted(left, "letter"),
            are(left)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

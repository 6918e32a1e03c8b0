//! `tapewatch topics list|create`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;
use tapewatch_config::Settings;
use tapewatch_eventlog::{Log, TopicInfo, TopicPartition, TopicSpec};
use tapewatch_schemas::catalogue::{Pattern, TopicPlan, plan};

use crate::{Access, CliError, Context};

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the log's topics: partitions, offsets in them, who writes them and what they hold
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Create the topics that this release reads and writes; those that are there already are left alone
    Create {
        /// Partitions of the topics that are cut by portfolio [default: topics.partitions of the settings]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        partitions: Option<u32>,
    },
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    match command {
        Command::List { json } => list(context, &settings, json),
        Command::Create { partitions } => create(context, &settings, partitions),
    }
}

fn list(context: &Context, settings: &Settings, json: bool) -> Result<ExitCode, CliError> {
    let log = context.open(settings, Access::Existing)?;
    let topics = log.topics()?;
    let mut out = io::stdout().lock();
    if topics.is_empty() && !json {
        writeln!(out, "{} has no topics: `tapewatch topics create` makes them", log.address())?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = topics.iter().map(|topic| topic.name.as_str().len()).max().unwrap_or(0);
    if !json {
        let head = format!("{:width$}  {:>10}  {:>12}  {}", "TOPIC", "PARTITIONS", "OFFSETS", "WHAT");
        writeln!(out, "{}", context.paint.bold(&head))?;
    }
    for TopicInfo { name, partitions } in &topics {
        let offsets = offsets(log.as_ref(), name.as_str(), *partitions)?;
        let what = what(name.as_str());
        if json {
            let line =
                json!({"topic": name.as_str(), "partitions": partitions, "offsets": offsets, "what": what});
            writeln!(out, "{line}")?;
        } else {
            let what = context.paint.dim(&what);
            writeln!(out, "{:width$}  {partitions:>10}  {offsets:>12}  {what}", name.as_str())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How many offsets the partitions hold: at least as many as there are records, because a log may number
/// its own marks too.
fn offsets(log: &dyn Log, name: &str, partitions: i32) -> Result<i64, CliError> {
    let mut sum = 0;
    for partition in 0..partitions {
        let bounds = log.bounds(&TopicPartition::new(name, partition))?;
        sum += bounds.end - bounds.earliest;
    }
    Ok(sum)
}

fn what(name: &str) -> String {
    match Pattern::of(name) {
        Some(Pattern::Fixed(topic)) => format!("{} (written by {})", topic.what, topic.written_by),
        Some(Pattern::Journal(worker)) => format!("what {worker} did, round by round, hash-chained"),
        Some(Pattern::Anchors(worker)) => format!("full states of {worker} that a replay can start from"),
        Some(Pattern::State(worker)) => format!("snapshots of {worker}, a cache of its journal"),
        Some(Pattern::DeadLetters(topic)) => format!("records of {} that could not be used", topic.name),
        Some(Pattern::Redrive(topic)) => format!("dead letters of {} sent back", topic.name),
        None => "not one of tapewatch's".into(),
    }
}

fn create(context: &Context, settings: &Settings, partitions: Option<u32>) -> Result<ExitCode, CliError> {
    let log = context.open(settings, Access::Create)?;
    let inputs = partitions.unwrap_or(settings.topics.partitions);
    let wanted: Vec<TopicSpec> =
        plan(inputs, settings.topics.retention).into_iter().map(|topic| spec(topic, settings)).collect();
    let there = log.topics()?;
    let other =
        |spec: &TopicSpec| there.iter().find(|t| t.name == spec.name && t.partitions != spec.partitions);
    let differing: Vec<String> = wanted
        .iter()
        .filter_map(|spec| other(spec).map(|t| (spec, t)))
        .map(|(spec, found)| {
            format!("{} has {}, wanted are {}", spec.name, found.partitions, spec.partitions)
        })
        .collect();
    if !differing.is_empty() {
        return Err(CliError::Topics(format!(
            "topics of {} have another partition count, which is never changed: {}. Keys would change their \
             partitions. Set topics.partitions (or --partitions) to what is there, or take a new log.",
            log.address(),
            some_of(&differing)
        )));
    }
    let missing: Vec<TopicSpec> =
        wanted.into_iter().filter(|spec| there.iter().all(|topic| topic.name != spec.name)).collect();
    log.create(&missing)?;
    let mut out = io::stdout().lock();
    let (made, kept) = (missing.len(), there.len());
    writeln!(out, "{}: {made} topics made, {kept} were there already", log.address())?;
    Ok(ExitCode::SUCCESS)
}

/// The first few, and how many more.
fn some_of(all: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = all[..all.len().min(SHOWN)].join("; ");
    if all.len() > SHOWN { format!("{shown}; and {} more", all.len() - SHOWN) } else { shown }
}

/// A planned topic as the settings want it on the log.
pub(crate) fn spec(plan: TopicPlan, settings: &Settings) -> TopicSpec {
    TopicSpec {
        name: plan.name,
        partitions: i32::try_from(plan.partitions).unwrap_or(i32::MAX),
        replication: i32::try_from(settings.log.kafka.replication).unwrap_or(i32::MAX),
        retention: plan.retention,
        compacted: plan.compacted,
    }
}

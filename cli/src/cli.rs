//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    breaker, config, demo, dlq, halt, journal, model, play, produce, registry, replay, seek, status, tail,
    topics, up, verify_journal,
};
use crate::{CliError, Context, exit};

const HEADING: &str = "Options of every command";

const EXAMPLES: &str = "\
Examples:
  tapewatch demo                                   a real tape through the whole pipeline
  tapewatch up                                     every worker on ./tapewatch.db, until Ctrl-C
  tapewatch topics create                          make the topics, in ./tapewatch.db
  tapewatch produce exec.reports.v1 fills.jsonl    write execution reports, one JSON object a line
  tapewatch tail alerts.v1 --follow                watch alerts as they come
  tapewatch dlq list                               what could not be used, and why
  tapewatch config check                           find everything that is wrong in the settings
";

/// Watches the tape: an independent, replayable monitor for algorithmic-trading systems.
///
/// A trading system writes its signals, fills, positions and marks to a log; tapewatch's workers read them and
/// write risk figures and alerts to it. The log is one file, or Kafka.
#[derive(Debug, Parser)]
#[command(name = "tapewatch", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// The log: sqlite:PATH or kafka:HOST:PORT,HOST:PORT… [default: log.url of the settings]
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", env = "TAPEWATCH_LOG", hide_env_values = true)]
    pub log: Option<String>,
    /// The settings' file [default: tapewatch.toml here, if it is there]
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", env = "TAPEWATCH_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The environment over the file: demo, kafka, or one of your own
    #[arg(long = "env", global = true, help_heading = HEADING, value_name = "NAME", env = "TAPEWATCH_ENV", hide_env_values = true)]
    pub environment: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a real tape be traded, monitored, limited and alerted on, in a log of its own
    Demo(demo::Args),
    /// Run every worker on a log until Ctrl-C
    Up(up::Args),
    /// Play the tape alone into a log
    Play(play::Args),
    /// Close an open circuit breaker: what stands before it is read again, or given up
    #[command(subcommand)]
    Breaker(breaker::Command),
    /// Halt trading in a scope, let it trade again, or list what is in force
    #[command(subcommand)]
    Halt(halt::Command),
    /// Check or register this release's schemas in a schema registry
    #[command(subcommand)]
    Registry(registry::Command),
    /// Write JSON lines to a topic, checked against its schema: all of them, or none
    Produce(produce::Args),
    /// Print the last records of a topic, or those from somewhere on
    Tail(tail::Args),
    /// List the log's topics, or create those that this release needs
    #[command(subcommand)]
    Topics(topics::Command),
    /// Reconcile: is nothing lost, how far behind is it, what is open
    Status(status::Args),
    /// Replay the journals: compare every byte with what was published, ask what other limits would have
    /// given, or build the log anew
    Replay(replay::Args),
    /// Export journals, and sign where they end
    #[command(subcommand)]
    Journal(journal::Command),
    /// Check the hash chains of journals, from an export alone: what was removed, changed, reordered or cut off
    VerifyJournal(verify_journal::Args),
    /// Move a stopped worker forward in an input: what lies between is journalled as skipped on purpose
    Seek(seek::Args),
    /// List, show, repair or send back dead letters: what could not be used, and why
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Compute a measure of one's own numbers, or run reference cases, by the workers' own kernels
    #[command(subcommand)]
    Model(model::Command),
    /// Check, show or name the settings
    #[command(subcommand)]
    Config(config::Command),
}

impl Command {
    /// Runs it.
    ///
    /// # Errors
    /// What went wrong, with its exit code.
    pub fn run(self, context: &Context) -> Result<ExitCode, CliError> {
        match self {
            Self::Demo(args) => demo::run(args, context),
            Self::Up(args) => up::run(args, context),
            Self::Play(args) => play::run(args, context),
            Self::Breaker(command) => breaker::run(command, context),
            Self::Halt(command) => halt::run(command, context),
            Self::Registry(command) => registry::run(command, context),
            Self::Produce(args) => produce::run(args, context),
            Self::Tail(args) => tail::run(args, context),
            Self::Topics(command) => topics::run(command, context),
            Self::Status(args) => status::run(args, context),
            Self::Replay(args) => replay::run(args, context),
            Self::Journal(command) => journal::run(command, context),
            Self::VerifyJournal(args) => verify_journal::run(args, context),
            Self::Seek(args) => seek::run(args, context),
            Self::Dlq(command) => dlq::run(command, context),
            Self::Model(command) => model::run(command, context),
            Self::Config(command) => config::run(command, context),
        }
    }
}

fn long_help() -> String {
    format!("{EXAMPLES}\n{}", exit::TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}

//! `tapewatch replay`: what the journals give, again.

mod into;
mod progress;
mod verify;
mod what_if;

use std::path::PathBuf;
use std::process::ExitCode;

use tapewatch_consumers::workers::NAMES;
use tapewatch_schemas::Time;

pub(super) use verify::chosen;

use super::in_order;
use crate::interrupt::Interrupt;
use crate::{CliError, Context};

const EXAMPLES: &str = "\
Examples:
  tapewatch replay --verify                          every worker, from its first record
  tapewatch replay --verify --worker risk --partition 3 --partition 5 --json
  tapewatch replay --verify --from 2021-06-01T00:00:00Z --to 2021-06-02T00:00:00Z
  tapewatch replay --what-if tighter.toml            yesterday's tape under tomorrow's limits
  tapewatch replay --into sqlite:audit.db            a log of one's own, built anew from this one

--verify needs the configuration that the workers ran with. --what-if takes the one named, and the journals say
all else: the merge's order, dead letters, breakers and seeks; ticks are derived anew. Risk's new outputs take the
place of the recorded ones, through a scratch log among the temporary files (TMPDIR names another place).
--into computes every output again from the journals and compares it with what is published, as --verify does;
if all of it is the same, inputs, outputs, dead letters, journals and anchors are written to the other log, each
record at its offset and with its time, and all is computed and compared once more from there. Nothing is copied
of a log that does not verify. Snapshots and groups' positions are left out: they only mirror the journals. Its
workers must not write meanwhile.

Exit code of --verify 0: every byte is what the journal gives. 1: something differs; the first difference is named.
7: something cannot be verified here (other code or configuration, or gone from the log), or no journal record of
any worker lies in the range; which and why is named. --into ends likewise. Of --what-if 0: it has an answer. The log is read, never written, no group is joined, nobody is told.";

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Args {
    /// Rebuild from the journal, and compare every digest and every output byte with the log
    #[arg(long, group = "what")]
    verify: bool,
    /// Which alerts would appear, disappear or move under this settings' file, with `--env` over it: the recorded
    /// order of the tape under its limits and rules
    #[arg(long, group = "what", value_name = "CONFIG", conflicts_with_all = ["worker", "partition"])]
    what_if: Option<PathBuf>,
    /// Rebuild the log in another, which must be empty: sqlite:PATH. It is verified first, and only then copied;
    /// then the copy is verified by itself
    #[arg(long, group = "what", value_name = "URL", conflicts_with_all = ["worker", "partition", "from", "to"])]
    into: Option<String>,
    /// Of this worker alone
    #[arg(long, value_name = "WORKER", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    worker: Option<String>,
    /// Of this partition alone; may be given several times
    #[arg(long, value_name = "P")]
    partition: Vec<i32>,
    /// Begin at the last anchor at or before this time of the task's clock. With --what-if: tell of alerts that
    /// stood at or after it
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    from: Option<Time>,
    /// End with the last round that began at or before this time of the task's clock. With --what-if: tell of
    /// alerts that fired at or before it
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    to: Option<Time>,
    /// One JSON object a task (or a changed alert, and a last one that counts), and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    // The log is never written; what is left half done by --into is a file of its own.
    Interrupt::at_once()?;
    in_order(args.from, args.to)?;
    match (&args.what_if, &args.into) {
        (Some(file), _) => what_if::run(&args, file, context),
        (None, Some(url)) => into::run(&args, url, context),
        (None, None) => verify::run(&args, context),
    }
}

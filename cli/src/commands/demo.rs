//! `tapewatch demo`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::demo::{self, Options};
use crate::{CliError, Context, exit};

/// What to show.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The same seed writes the same bytes
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// The summary as one JSON object
    #[arg(long)]
    json: bool,
    /// The tape without its incident book: nothing must be found
    #[arg(long)]
    no_incidents: bool,
    /// Play only so many bars of the tape
    #[arg(long, value_name = "N")]
    bars: Option<usize>,
    /// The folder of the log [default: a fresh one among the temporary files]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Runs it. Exit 0 only if all reconciles, every incident that has a monitor was found, and none was found
/// that is not there.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, CliError> {
    let mut settings = context.settings_in(Some("demo"))?;
    // It needs nothing but itself.
    settings.registry.url = None;
    let options = Options {
        seed: args.seed,
        incidents: !args.no_incidents,
        bars: args.bars,
        folder: args.dir,
        live: !args.json,
        paint: context.problems,
    };
    let summary = demo::run(&options, &settings)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", summary.json())?;
    } else {
        summary.print(&mut out, context.paint)?;
    }
    Ok(if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

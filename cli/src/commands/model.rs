//! `tapewatch model …`: the workers' own kernels, for people who validate models.

mod calc;
mod cases;
mod check;
mod comparison;
mod families;
mod family;
mod figure;
mod question;
mod records;
mod table;
mod tolerance;
mod worker;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{CliError, Context};

const EXAMPLES: &str = "\
Examples:
  tapewatch model calc gaussian closes.csv --column close --transform simple_return
  tapewatch model calc kupiec --set n=250 --set exceedances=5
  tapewatch model check cases.json --family var,es";

/// What to do with a model.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Compute a measure from a CSV or JSON file, and say by which convention
    Calc(calc::Args),
    /// Run a file of reference cases, and compare every figure with what is expected
    Check(check::Args),
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    match command {
        Command::Calc(args) => calc::run(&args),
        Command::Check(args) => check::run(&args, context),
    }
}

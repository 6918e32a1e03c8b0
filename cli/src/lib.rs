//! `tapewatch`, the one command people type: what its arguments mean, and how it ends.

mod cli;
pub mod commands;
mod context;
mod courier;
mod decoded;
pub mod demo;
mod error;
mod hex_dump;
mod interrupt;
mod journal;
mod json_lines;
mod paint;
mod scan;
mod spool;
mod topic_name;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

pub use cli::{Cli, Command, Global};
pub use context::{Access, Context};
pub use error::CliError;
pub use paint::Paint;
pub use tapewatch_consumers::exit;

/// Parses the arguments, runs the command and says how it ended: errors as one paragraph on standard error,
/// and an exit code of [`exit`].
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(cli.global);
    let ended =
        interrupt::outlive_file_limits().map_err(CliError::from).and_then(|()| cli.command.run(&context));
    match ended {
        Ok(code) => code,
        Err(error) => {
            if let Some(text) = error.paragraph() {
                let label = context.problems.red("error:");
                // Nobody is left to tell if standard error is gone too.
                let _ = writeln!(io::stderr(), "{label} {text}");
            }
            ExitCode::from(error.exit())
        }
    }
}

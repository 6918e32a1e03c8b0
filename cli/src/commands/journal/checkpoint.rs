//! `journal checkpoint`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{chosen, signed, whole, write_line};
use crate::commands::verify_journal;
use crate::journal::chain::Checker;
use crate::journal::finding::Selection;
use crate::journal::key;
use crate::journal::line::Line;
use crate::{CliError, Context};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The key of `journal key`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// An export: its journals are signed as they end there, in the file itself [default: those of the log, on
    /// standard output]
    export: Option<PathBuf>,
}

/// Runs it. What is not whole is not signed.
pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CliError> {
    let key = key::read(&args.key)?;
    let checked = if let Some(file) = &args.export {
        verify_journal::check_file(file, &[], Vec::new(), Selection::default())?
    } else {
        let mut checker = Checker::new(&[], Vec::new(), Selection::default());
        chosen(context, &Selection::default())?.each(|line, read| {
            checker.take(&(line.worker, line.partition), read);
            Ok(())
        })?;
        checker.finish()
    };
    whole(&checked)?;
    let mut out: Box<dyn Write> = match &args.export {
        None => Box::new(io::stdout().lock()),
        Some(path) => Box::new(OpenOptions::new().append(true).open(path).map_err(|error| {
            CliError::Input(format!(
                "{}: {error}; expected an export that can be appended to",
                path.display()
            ))
        })?),
    };
    for checkpoint in signed(&checked, &key) {
        write_line(&mut out, &Line::Checkpoint(checkpoint))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

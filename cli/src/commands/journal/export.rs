//! `journal export`.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use tapewatch_consumers::workers::NAMES;

use super::{chosen, write_line};
use crate::journal::finding::Selection;
use crate::journal::line::{Head, Line};
use crate::{CliError, Context};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of this worker alone
    #[arg(long, value_name = "WORKER", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    worker: Option<String>,
    /// Of this partition alone; may be given several times
    #[arg(long, value_name = "P")]
    partition: Vec<i32>,
    /// The file, which must not be there yet [default: standard output]
    file: Option<PathBuf>,
}

/// Runs it.
pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CliError> {
    let selection = Selection { worker: args.worker.clone(), partitions: args.partition.clone() };
    // Before the file is made: a wrong command leaves none behind.
    let journals = chosen(context, &selection)?;
    let log = context.settings()?.log.url;
    let mut out: Box<dyn Write> = match &args.file {
        None => Box::new(BufWriter::new(io::stdout().lock())),
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
                let path = path.display();
                CliError::Input(format!("{path}: {error}; expected a file that is not there yet"))
            })?;
            Box::new(BufWriter::new(file))
        }
    };
    write_line(&mut out, &Line::Head(Head::of(&log, &selection)))?;
    journals.each(|line, _| Ok(write_line(&mut out, &Line::Record(line))?))?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

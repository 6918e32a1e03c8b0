//! `tapewatch config check|show|version|schema`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Subcommand;
use tapewatch_config::Settings;

use crate::{CliError, Context};

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find everything that is wrong, in every environment of the file unless --env names one
    Check,
    /// Print the settings in force, and where each that is not a default was set
    Show {
        /// Print the defaults with their explanations instead: a file to begin with
        #[arg(long)]
        default: bool,
    },
    /// Print the JSON Schema of the settings' file: for an editor that completes and checks TOML
    Schema,
    /// Print the configuration version: what results say that they were computed with
    Version {
        /// Print the text that it is the BLAKE3 hash of
        #[arg(long)]
        canonical: bool,
    },
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    let mut out = io::stdout().lock();
    match command {
        Command::Check => check(context, &mut out)?,
        Command::Show { default: true } => out.write_all(Settings::default_file().as_bytes())?,
        Command::Show { default: false } => out.write_all(context.settings()?.show().as_bytes())?,
        Command::Schema => out.write_all(Settings::json_schema().as_bytes())?,
        Command::Version { canonical: true } => writeln!(out, "{}", context.settings()?.canonical())?,
        Command::Version { canonical: false } => writeln!(out, "{}", context.settings()?.version())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(context: &Context, out: &mut impl Write) -> Result<(), CliError> {
    let settings = context.settings()?;
    let source = context.file().map_or_else(|| "the defaults".into(), |file| file.display().to_string());
    writeln!(out, "{source}: no fault found, configuration version {}", settings.version().short())?;
    if context.global.environment.is_none() {
        for name in context.environments() {
            let settings = context.settings_in(Some(&name))?;
            writeln!(
                out,
                "{source}, environment {name}: no fault found, version {}",
                settings.version().short()
            )?;
        }
    }
    Ok(())
}

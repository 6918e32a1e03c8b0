//! `tapewatch registry check|register`: this release's schemas in the registry of the settings.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use tapewatch_consumers::registry;
use tapewatch_eventlog::LogError;
use tapewatch_eventlog::registry::{Registry, RegistryError, Subjects, enrol};
use tapewatch_schemas::Codec;

use crate::decoded::Decoder;
use crate::{CliError, Context};

const EXAMPLES: &str = "\
Examples:
  TAPEWATCH_REGISTRY__URL=http://127.0.0.1:8081 tapewatch registry check
  tapewatch registry register        by someone who may, where registry.register is false for the workers

The registry is that of the settings: [registry] url, username, password_file, ca_file, subjects.";

/// What to do with this release's schemas.
#[derive(Clone, Copy, Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Say of each topic's schema whether it is registered, and if not, whether it could be
    Check {
        /// One JSON object a schema
        #[arg(long)]
        json: bool,
    },
    /// Register those that are missing; none if one of them is not compatible
    Register {
        /// One JSON object a schema
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(command: Command, context: &Context) -> Result<ExitCode, CliError> {
    let settings = context.settings()?;
    let subjects = registry::subjects(&settings);
    let Some(found) = registry::connect(&settings)? else {
        return Err(CliError::Usage(
            "there is no registry: set registry.url, such as TAPEWATCH_REGISTRY__URL=http://127.0.0.1:8081"
                .into(),
        ));
    };
    let decoder = Decoder::new(&settings)?;
    let mut out = io::stdout().lock();
    match command {
        Command::Check { json } => check(&found, decoder.codec(), subjects, json, &mut out),
        Command::Register { json } => {
            let topics: Vec<_> = decoder.codec().schemas().map(|(topic, ..)| topic).collect();
            let enrolled = enrol(&found, decoder.codec(), &topics, subjects, true).map_err(|errors| {
                CliError::Log(LogError::Registry {
                    why: errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
                })
            })?;
            for schema in enrolled {
                let line = json!({"topic": schema.topic, "subject": schema.subject, "id": schema.id});
                print(&mut out, json, &line, &format!("id {}", schema.id))?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(
    registry: &Registry,
    codec: &Codec,
    subjects: Subjects,
    json: bool,
    out: &mut impl Write,
) -> Result<ExitCode, CliError> {
    let failed = |error: RegistryError| CliError::Log(LogError::Registry { why: error.to_string() });
    let mut all = true;
    for (topic, record, text) in codec.schemas() {
        let subject = subjects.of(topic, &record);
        let id = registry.id(&subject, text).map_err(failed)?;
        let problems = match id {
            Some(_) => Vec::new(),
            None => registry.incompatible(&subject, text).map_err(failed)?,
        };
        all &= id.is_some();
        let words = match (id, problems.is_empty()) {
            (Some(id), _) => format!("id {id}"),
            (None, true) => "not registered, and could be".to_owned(),
            (None, false) => format!("not compatible: {}", problems.join("; ")),
        };
        let line = json!({"topic": topic, "subject": subject, "id": id, "problems": problems});
        print(out, json, &line, &words)?;
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

fn print(out: &mut impl Write, json: bool, line: &Value, words: &str) -> Result<(), CliError> {
    if json {
        writeln!(out, "{line}")?;
    } else {
        let subject = line["subject"].as_str().unwrap_or_default();
        writeln!(out, "{subject:40} {words}")?;
    }
    Ok(())
}

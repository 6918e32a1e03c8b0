//! `replay --into`: a log built anew from another.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tapewatch_config::Settings;
use tapewatch_consumers::count::{are, counted};
use tapewatch_consumers::replay::Verdict;
use tapewatch_consumers::replay::rebuild::{Extent, check_empty, rebuild};
use tapewatch_consumers::workers;
use tapewatch_eventlog::sqlite::SqliteLog;

use super::progress::Progress;
use super::{Args, verify};
use crate::{Access, CliError, Context};

/// Looks at the target before the work begins. It is made only once there is something to put into it.
fn look(url: &str, source: &str, settings: &Settings) -> Result<(), CliError> {
    let place = |url: &str| url.strip_prefix("sqlite:").map(PathBuf::from);
    let Some(path) = place(url) else { return Ok(()) };
    if path.exists() {
        let same = place(source).and_then(|source| source.canonicalize().ok()) == path.canonicalize().ok();
        if same {
            let text = format!("--into {url}: that is the log itself, which is only read: name another file");
            return Err(CliError::Input(text));
        }
        return Ok(check_empty(&SqliteLog::open(url, &Context::open_options(settings))?)?);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.is_dir()) {
        Some(folder) => {
            let folder = folder.display();
            Err(CliError::Input(format!(
                "--into {url}: there is no folder {folder}: make it (mkdir -p {folder}), or name another path"
            )))
        }
        None => Ok(()),
    }
}

/// Runs it: verifies the log, copies it, and verifies the copy by itself.
pub(super) fn run(args: &Args, url: &str, context: &Context) -> Result<ExitCode, CliError> {
    if !url.starts_with("sqlite:") {
        let text = format!(
            "--into {url}: expected sqlite:PATH. Journals name offsets, and only an embedded log can be given the same ones again"
        );
        return Err(CliError::Usage(text));
    }
    let settings = context.settings()?;
    let source = context.open(&settings, Access::Existing)?;
    look(url, &settings.log.url, &settings)?;
    // Before anything is verified: what comes later is not copied.
    let extent = Extent::of(&source)?;
    let verdict = verify::all(args, context, &settings, &source)?;
    if verdict != Verdict::Verified {
        // What was found has been said.
        writeln!(io::stderr(), "nothing was written to {url}: only what verifies is rebuilt")?;
        return Ok(verify::code(verdict));
    }
    let target = SqliteLog::open(url, &Context::open_options(&settings))?;
    let mut progress = Progress::new("copying", "offsets", !args.json);
    let records = rebuild(&source, &target, &extent, &workers::topic_specs(&settings), &mut |done, total| {
        progress.tell(done, total);
    });
    progress.clear();
    let records = records?;
    // Opened anew: what is read is what is in the file.
    drop(target);
    let mut there = settings.clone();
    url.clone_into(&mut there.log.url);
    let target = context.open(&there, Access::Existing)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({"rebuilt": url, "records": records}))?;
    } else {
        writeln!(
            out,
            "{} {} in {url}; verified again, from there alone:",
            counted(records, "record"),
            are(records)
        )?;
    }
    drop(out);
    Ok(verify::code(verify::all(args, context, &there, &target)?))
}

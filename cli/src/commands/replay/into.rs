//! `replay --into`: a log built anew from another.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;
use tapewatch_consumers::replay::Verdict;
use tapewatch_consumers::replay::rebuild::{Extent, rebuild};
use tapewatch_consumers::workers;
use tapewatch_eventlog::sqlite::SqliteLog;

use super::progress::Progress;
use super::{Args, verify};
use crate::{Access, CliError, Context};

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
        writeln!(out, "{records} records are in {url}; verified again, from there alone:")?;
    }
    drop(out);
    Ok(verify::code(verify::all(args, context, &there, &target)?))
}

//! `tapewatch dlq import`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tapewatch_config::Settings;
use tapewatch_consumers::count::{are, counted, were};
use tapewatch_consumers::redrive::{LetterId, Repair, Repairs, Request, redrive, survey, unknown};
use tapewatch_eventlog::Log;
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue::{Pattern, redrive_topic};
use tapewatch_schemas::codec::GUID_HEADER;

use super::redrive::{everything, reasons};
use super::who::WhoArgs;
use crate::commands::produce::Checker;
use crate::commands::produce::progress::Progress;
use crate::interrupt::Interrupt;
use crate::json_lines::{Line, Lines, MAX_LINE};
use crate::{CliError, topic_name};

const EXAMPLES: &str = "\
Examples:
  tapewatch dlq import repaired.jsonl --why 'currency added by hand'
  tapewatch dlq export accounts.v1 | jq -c 'del(.value_base64) | .value = …' | tapewatch dlq import - --why …

Lines as `dlq export` writes them. What counts is which letter it is (topic, partition, letter, behind), and value:
the repaired event, checked like a line of `produce`, which gives the record its key and partition; or, without
value, value_base64: bytes as they are to be sent, with the letter's key. A line whose event is that of its own
bytes is sent with them. Every line is checked before the first is sent; if one is wrong, or held behind a letter of
its key that is not in the file, nothing is sent and the exit code is 5. Letters that were sent back before are left
out, so that an import that was killed is finished by running it again.";

/// The most lines of one file.
const MOST_LINES: usize = 200_000;
/// The most bytes of their values together.
const MOST_BYTES: usize = 256 << 20;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file, or - for standard input
    file: PathBuf,
    #[command(flatten)]
    who: WhoArgs,
    /// Print what was done as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, log: &Arc<dyn Log>, settings: &Settings) -> Result<ExitCode, CliError> {
    let (who, why) = args.who.said()?;
    let mut lines = Lines::open(&args.file).map_err(|error| {
        let name = args.file.display();
        CliError::Input(format!("{name} cannot be read: {error}; expected a file of JSON lines, or `-`"))
    })?;
    let interrupt = Interrupt::listen()?;
    let mut intake = Intake { log, settings, checkers: BTreeMap::new(), found: BTreeMap::new(), bytes: 0 };
    let mut bad = intake.take(&mut lines, &interrupt)?;
    let name = lines.name().to_owned();
    let mut requests = Vec::new();
    for (topic, letters) in intake.found {
        let repairs = Repairs { file: name.clone(), letters };
        let (who, why) = (who.clone(), why.clone());
        requests.push(Request { repairs: Some(repairs), who, why, ..everything(topic, settings) });
    }
    for request in &requests {
        for (line, what) in unknown(log, request)? {
            bad += 1;
            writeln!(io::stderr(), "{name}:{line}: {what}")?;
        }
    }
    if bad > 0 {
        return Err(CliError::Input(format!(
            "{} of {name} {} wrong, and nothing was sent: correct what is wrong, or take it out",
            counted(bad, "line"),
            are(bad)
        )));
    }
    for request in &requests {
        let held = survey(log, request)?.left.held_behind;
        if held > 0 {
            return Err(CliError::Input(format!(
                "{} of {name} {} held behind a letter of the key that is not in it, and nothing was sent: a key's \
                 records go in order. Put those letters in too (`tapewatch dlq export {}` names them), or send them \
                 first",
                counted(held, "line"),
                are(held),
                request.topic
            )));
        }
    }
    send(&requests, log, &interrupt, args.json)
}

fn send(
    requests: &[Request],
    log: &Arc<dyn Log>,
    interrupt: &Interrupt,
    as_json: bool,
) -> Result<ExitCode, CliError> {
    let mut out = io::stdout().lock();
    let mut all = Vec::new();
    for request in requests {
        let mut progress = Progress::new("sent back", None);
        let outcome = redrive(log, request, &mut |sent| {
            progress.show(sent);
            !interrupt.asked()
        });
        progress.clear();
        let outcome = outcome?;
        let (sent, target) = (outcome.sent, redrive_topic(request.topic.as_str()));
        if as_json {
            all.push(json!({"topic": request.topic, "records": sent, "left": outcome.left}));
        } else {
            writeln!(out, "{} sent to {target}", counted(sent, "repaired record"))?;
            for line in reasons(&outcome.left, request) {
                writeln!(out, "{line}")?;
            }
        }
        if outcome.interrupted {
            let text = format!(
                "{} {} sent to {target}; the same command sends the rest",
                counted(sent, "record"),
                were(sent)
            );
            return Err(CliError::Interrupted(text));
        }
    }
    if as_json {
        writeln!(out, "{}", json!({"topics": all}))?;
    } else if requests.is_empty() {
        writeln!(out, "no lines: nothing to send")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads lines, and says everything that is wrong with them.
struct Intake<'a> {
    log: &'a Arc<dyn Log>,
    settings: &'a Settings,
    checkers: BTreeMap<String, Checker>,
    found: BTreeMap<TopicName, BTreeMap<LetterId, Repair>>,
    bytes: usize,
}

impl Intake<'_> {
    /// How many lines are wrong.
    fn take(&mut self, lines: &mut Lines, interrupt: &Interrupt) -> Result<u64, CliError> {
        let name = lines.name().to_owned();
        let (mut bad, mut count) = (0, 0);
        loop {
            let next = lines.next().map_err(|error| CliError::Input(format!("{name}: {error}")))?;
            let Some((number, line)) = next else { return Ok(bad) };
            let problems = match line {
                Line::Text(text) => self.line(number, text)?,
                Line::TooLong => vec![format!("the line is longer than {MAX_LINE} bytes")],
            };
            bad += u64::from(!problems.is_empty());
            for problem in problems {
                writeln!(io::stderr(), "{name}:{number}: {problem}")?;
            }
            count += 1;
            if count > MOST_LINES || self.bytes > MOST_BYTES {
                return Err(CliError::Input(format!(
                    "{name} has more than one import takes ({MOST_LINES} lines, {MOST_BYTES} bytes of values), and \
                     nothing was sent. Split it"
                )));
            }
            if interrupt.asked() {
                return Err(CliError::Interrupted("nothing was sent".into()));
            }
        }
    }

    /// Takes a line in. What is wrong with it.
    fn line(&mut self, number: u64, text: &[u8]) -> Result<Vec<String>, CliError> {
        let object: Map<String, Value> = match serde_json::from_slice(text) {
            Ok(object) => object,
            Err(error) => return Ok(vec![format!("not a JSON object: {error}")]),
        };
        let mut fields = Fields { object: &object, problems: Vec::new() };
        let topic = fields.text("topic");
        let partition = fields.number("partition").and_then(|n| i32::try_from(n).ok());
        let letter = fields.number("letter");
        let behind = fields.object.contains_key("behind").then(|| fields.number("behind")).flatten();
        let known = topic.filter(|topic| matches!(Pattern::of(topic), Some(Pattern::Fixed(_))));
        if let (Some(topic), None) = (topic, known) {
            fields.problems.push(format!("`topic`: `{topic}` is no topic that has dead letters"));
        }
        let mut problems = fields.problems;
        let (Some(topic), Some(partition), Some(letter)) = (known, partition, letter) else {
            return Ok(problems);
        };
        if !self.checkers.contains_key(topic) {
            let partitions = topic_name::partitions(self.log.as_ref(), redrive_topic(topic).as_str())?;
            let checker = Checker::new(topic, partitions as u32, self.settings)?;
            self.checkers.insert(topic.to_owned(), checker);
        }
        match repaired(&object, &self.checkers[topic], number, partition) {
            Ok(repair) => {
                self.bytes += repair.value.as_ref().map_or(0, Bytes::len);
                let id = LetterId { partition, letter, behind };
                let letters = self.found.entry(TopicName::from(topic)).or_default();
                if let Some(before) = letters.insert(id, repair) {
                    problems.push(format!("this letter stands in line {} already", before.line));
                }
            }
            Err(wrong) => problems.extend(wrong),
        }
        Ok(problems)
    }
}

/// What is sent in place of the letter's own bytes.
fn repaired(
    object: &Map<String, Value>,
    checker: &Checker,
    line: u64,
    partition: i32,
) -> Result<Repair, Vec<String>> {
    let bytes = match object.get("value_base64") {
        None | Some(Value::Null) => None,
        Some(given) => {
            let decoded = given.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
            Some(decoded.ok_or_else(|| vec!["`value_base64`: not base64 with its padding".to_owned()])?)
        }
    };
    let event = object.get("value").filter(|value| !value.is_null());
    let Some(event) = event else {
        let value = bytes.ok_or_else(|| {
            vec!["`value` is missing: the event as JSON, or `value_base64`: its bytes".to_owned()]
        })?;
        return Ok(Repair { line, target: partition, key: None, value: Some(value.into()) });
    };
    let ready = checker.event(line, event.to_string().as_bytes()).map_err(|problems| {
        problems.into_iter().map(|problem| format!("`value`: {problem}")).collect::<Vec<_>>()
    })?;
    // What was not touched goes as it was.
    let schema = header(object, GUID_HEADER);
    let same = bytes.filter(|bytes| checker.gives(bytes, schema.as_deref(), &ready.value));
    let value = same.map_or(ready.value, Bytes::from);
    Ok(Repair { line, target: ready.partition, key: Some(ready.key), value: Some(value) })
}

/// A header of the letter, if the line still has it.
fn header(object: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let headers = object.get("headers")?.as_array()?;
    let header = headers.iter().find(|header| header["name"] == name)?;
    match header.get("base64") {
        Some(given) => BASE64_STANDARD.decode(given.as_str()?).ok(),
        None => Some(header.get("value")?.as_str()?.as_bytes().to_vec()),
    }
}

/// The fields that say which letter it is.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    fn text(&mut self, name: &str) -> Option<&'a str> {
        let found = self.object.get(name).and_then(Value::as_str);
        if found.is_none() {
            self.problems.push(format!("`{name}`: expected a text, as `dlq export` writes it"));
        }
        found
    }

    fn number(&mut self, name: &str) -> Option<i64> {
        let found = self.object.get(name).and_then(Value::as_i64).filter(|number| *number >= 0);
        if found.is_none() {
            self.problems.push(format!("`{name}`: expected a whole number, as `dlq export` writes it"));
        }
        found
    }
}

//! `tapewatch dlq show`.

mod json;
mod text;

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

use serde_json::Value;
use tapewatch_eventlog::{Log, TopicPartition};
use tapewatch_schemas::DecodeError;
use tapewatch_schemas::codec::Partial;

use super::letters_of;
use crate::decoded::{Decoder, Undecoded};
use crate::interrupt::Interrupt;
use crate::scan::{self, Span};
use crate::{CliError, Context};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topic, named as its source or with .dlq
    topic: String,
    /// The partition
    partition: i32,
    /// The dead letter's own offset, as `dlq list` shows it
    offset: i64,
    /// Dump all of the value's bytes, decoded or not
    #[arg(long)]
    all: bool,
    /// One JSON object, which has all of the value's bytes
    #[arg(long, conflicts_with = "all")]
    json: bool,
}

pub(super) fn run(
    args: &Args,
    log: &dyn Log,
    context: &Context,
    decoder: Decoder,
) -> Result<ExitCode, CliError> {
    let (topic, partitions) = letters_of(log, &args.topic)?;
    if !(0..partitions).contains(&args.partition) {
        let (partition, last) = (args.partition, partitions - 1);
        return Err(CliError::Input(format!("{topic} has no partition {partition}: they are 0 to {last}")));
    }
    let at = TopicPartition::new(topic, args.partition);
    let bounds = log.bounds(&at)?;
    let nothing = || {
        let (offset, earliest, end) = (args.offset, bounds.earliest, bounds.end);
        CliError::Input(format!(
            "{at} has no record at offset {offset}: it holds offsets {earliest} to below {end}"
        ))
    };
    if !(bounds.earliest..bounds.end).contains(&args.offset) {
        return Err(nothing());
    }
    let span = Span { at: at.clone(), from: args.offset, to: args.offset + 1 };
    let mut found = false;
    scan::read(log, &[span], &Interrupt::listen()?, |record| {
        found = true;
        let mut out = io::stdout().lock();
        if args.json {
            writeln!(out, "{}", json::object(record, &decoder))?;
        } else {
            text::Show { out, context, decoder: &decoder, all: args.all }.record(record)?;
        }
        Ok(ControlFlow::Break(()))
    })?;
    if found { Ok(ExitCode::SUCCESS) } else { Err(nothing()) }
}

/// A value, read as far as that goes.
enum Reading {
    /// An event of its topic.
    Event(Value),
    /// None.
    Undecoded {
        why: Undecoded,
        /// What of it could be read.
        part: Option<Partial>,
        /// The topic whose event it is.
        other: Option<(&'static str, Value)>,
    },
}

impl Reading {
    /// Reads a value of `topic`; `header` may name its schema.
    fn of(decoder: &Decoder, topic: &str, value: &[u8], header: Option<&[u8]>) -> Self {
        let why = match decoder.event(topic, value, header) {
            Ok(event) => return Self::Event(event),
            Err(why) => why,
        };
        let part = decoder.partly(topic, value, header, &why);
        let other = match &why {
            Undecoded::Value(DecodeError::WrongTopic { belongs_to: Some(other), .. }) => {
                decoder.event(other, value, header).ok().map(|event| (*other, event))
            }
            _ => None,
        };
        Self::Undecoded { why, part, other }
    }
}

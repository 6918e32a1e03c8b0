//! Where people ask: a request is written to `control.requests.v1`, and alerting's answer is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tapewatch_config::{Clock as ClockSetting, Settings};
use tapewatch_consumers::scan::Scanner;
use tapewatch_consumers::workers;
use tapewatch_eventlog::{Clock, Log, LogError, OutRecord, Polled, Round, TopicPartition, Writer};
use tapewatch_schemas::catalogue::{CONTROL, CONTROL_REQUESTS, RISK_METRICS};
use tapewatch_schemas::events::{Control, RequestKind};
use tapewatch_schemas::{Event, RecordId, Time};

use crate::commands::produce::Checker;
use crate::decoded::Decoder;
use crate::{CliError, topic_name};

/// On the tape's clock a request is dated like the youngest of so many figures.
const LOOKED_AT: i64 = 2_000;

/// What is asked.
pub(super) struct Asked {
    pub(super) scope: String,
    pub(super) request: RequestKind,
    pub(super) halt: Option<RecordId>,
    pub(super) who: String,
    pub(super) reason: String,
    pub(super) despite_breach: bool,
}

/// Where one request is handed in.
pub(super) struct Counter<'a> {
    log: &'a Arc<dyn Log>,
    /// A name of its own: requests made at the same time end each other neither as writers nor as sources.
    name: String,
    settings: &'a Settings,
    writer: Box<dyn Writer>,
    scanner: Scanner,
    decoder: Decoder,
}

impl<'a> Counter<'a> {
    pub(super) fn open(log: &'a Arc<dyn Log>, settings: &'a Settings) -> Result<Self, CliError> {
        let now = Clock::system().now().micros();
        let name = format!("tapewatch.halt.{}.{now}", std::process::id());
        let writer = log.writer(&name)?;
        let scanner = Scanner::new(Arc::clone(log))?;
        Ok(Self { log, name, settings, writer, scanner, decoder: Decoder::new(settings)? })
    }

    /// Writes a request and gives the answer.
    pub(super) fn ask(mut self, asked: Asked, wait: Duration) -> Result<Control, CliError> {
        let partitions = topic_name::partitions(self.log.as_ref(), CONTROL_REQUESTS)?;
        let key = bytes::Bytes::copy_from_slice(asked.scope.as_bytes());
        let partition = workers::partitioner(self.settings).assign(&key, partitions as u32) as i32;
        let at = TopicPartition::new(CONTROL_REQUESTS, partition);
        let event_time = self.now(partition)?;
        let text = json!({
            "source": self.name, "sequence": 0, "event_time": event_time, "scope": asked.scope,
            "request": asked.request, "halt": asked.halt, "who": asked.who, "reason": asked.reason,
            "despite_breach": asked.despite_breach,
        });
        let checker = Checker::new(CONTROL_REQUESTS, partitions as u32, self.settings)?;
        let ready = checker
            .event(0, text.to_string().as_bytes())
            .map_err(|problems| CliError::Input(format!("the request: {}", problems.join("; "))))?;
        // Alerting cannot have answered before.
        let answers = TopicPartition::new(CONTROL, 0);
        let from = self.log.bounds(&answers)?.end;
        let target = TopicPartition::new(CONTROL_REQUESTS, ready.partition);
        let (key, value) = (Some(ready.key), Some(ready.value));
        let record = OutRecord { target, timestamp: None, key, value, headers: Vec::new() };
        let round = Round { records: vec![record], offsets: Vec::new() };
        let committed = self
            .writer
            .commit(&round, None)
            .map_err(|source| CliError::Commit { doing: format!("writing the request to {at}"), source })?;
        let cause = format!("{at}/{}", committed.offsets[0]);
        self.answer(&answers, from, &cause, wait)
    }

    /// Now, on the clock that the workers of this log run by: on the tape's, what the youngest figures say.
    fn now(&mut self, partition: i32) -> Result<Time, CliError> {
        let wall = Clock::system().now();
        if self.settings.runtime.clock != ClockSetting::Tape {
            return Ok(wall);
        }
        let figures = TopicPartition::new(RISK_METRICS, partition);
        let end = self.log.bounds(&figures)?.end;
        let (codec, mut youngest) = (self.decoder.codec(), None);
        self.scanner.scan::<LogError>(&figures, end - LOOKED_AT, |record| {
            let event = codec.decode(RISK_METRICS, record.value.unwrap_or_default());
            youngest = youngest.max(event.ok().map(|event| event.event_time()));
            Ok(())
        })?;
        // Before any figures nothing is as old as this: it goes first.
        Ok(youngest.unwrap_or(Time(0)))
    }

    /// What alerting answers.
    fn answer(
        &self,
        answers: &TopicPartition,
        from: i64,
        cause: &str,
        wait: Duration,
    ) -> Result<Control, CliError> {
        let mut reader = self.log.reader()?;
        reader.assign(&[(answers.clone(), from)])?;
        let begun = Instant::now();
        loop {
            if let Polled::Batch(batch) = reader.poll(Duration::from_millis(50))? {
                for record in batch.iter() {
                    let event = self.decoder.codec().decode(CONTROL, record.value.unwrap_or_default());
                    if let Ok(Event::Control(control)) = event
                        && control.provenance.cause == cause
                    {
                        return Ok(control);
                    }
                }
            }
            if begun.elapsed() >= wait {
                return Err(CliError::Away(format!(
                    "the request is on the log ({cause}), and alerting has not answered it within {wait:?}. It is met, or \
                     refused, once alerting reads it: `tapewatch status` shows how far that is, `tapewatch halt list` what is \
                     in force"
                )));
            }
        }
    }
}

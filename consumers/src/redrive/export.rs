//! Shows dead letters whole, for a person who repairs them.

use std::sync::Arc;

use tapewatch_eventlog::dead_letter::Redriven;
use tapewatch_eventlog::{Batch, BatchBuilder, Log, RecordRef};

use super::ledger::Ledger;
use super::survey::Survey;
use super::{Outcome, RedriveError, Request, chosen_partitions, parcel};
use crate::scan::Scanner;

/// One record that can go back.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    /// Whose it is and where it was.
    pub back: &'a Redriven,
    /// Of a record behind a range letter its offset where it is.
    pub behind: Option<i64>,
    /// The letter, or the record that it stands for: key, value and headers are whole.
    pub record: RecordRef<'a>,
}

/// Shows what [`super::redrive`] would send, in that order, until `each` breaks off by false.
///
/// # Errors
/// The log's, a ledger that was changed, or what `each` gives.
pub fn export<E: From<RedriveError>>(
    log: &Arc<dyn Log>,
    request: &Request,
    mut each: impl FnMut(&Exported<'_>) -> Result<bool, E>,
) -> Result<Outcome, E> {
    let log_failed = |why| E::from(RedriveError::Log(why));
    let mut outcome = Outcome::default();
    let mut scanner = Scanner::new(Arc::clone(log)).map_err(log_failed)?;
    let ledger = Ledger::read(&mut scanner)?;
    for partition in chosen_partitions(log, request)? {
        let taken = ledger.of(&request.topic, partition);
        let survey = Survey::of(log, &mut scanner, request, partition, &taken)?;
        outcome.note(&survey);
        let mut rest = survey.chosen.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(parcel::fits(rest));
            rest = later;
            let mut found: Vec<Option<Batch>> = vec![None; now.len()];
            parcel::gather(&mut scanner, &request.topic, partition, now, |index, record| {
                found[index] = Some(copy(record));
            })
            .map_err(log_failed)?;
            for (one, batch) in now.iter().zip(found) {
                let Some(batch) = batch else {
                    outcome.left.gone += 1;
                    continue;
                };
                let shown = Exported { back: &one.back, behind: one.behind_range(), record: batch.record(0) };
                if !each(&shown)? {
                    outcome.interrupted = true;
                    return Ok(outcome);
                }
                outcome.sent += 1;
            }
        }
    }
    Ok(outcome)
}

fn copy(record: &RecordRef<'_>) -> Batch {
    let at = tapewatch_eventlog::TopicPartition::new(record.topic.clone(), record.partition);
    let mut batch = BatchBuilder::new(at);
    batch.push(record.offset, record.timestamp, record.key, record.value, |into| {
        into.extend_from_slice(record.headers.encoded());
    });
    batch.build()
}

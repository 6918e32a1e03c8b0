//! Sends dead letters back, in order, each once: the records and an audit record that names their letters are
//! one transaction, and what an audit record names is never sent again.

mod candidate;
mod error;
mod export;
mod histogram;
mod ledger;
mod parcel;
mod post;
mod release;
mod request;
mod survey;

use std::collections::BTreeSet;
use std::sync::Arc;

use tapewatch_eventlog::{Log, TopicPartition};
use tapewatch_schemas::TopicName;
use tapewatch_schemas::catalogue::dlq_topic;

pub use error::RedriveError;
pub use export::{Exported, export};
pub use histogram::Histogram;
pub use ledger::{Entry, Kind};
pub use release::{Release, Released, release};
pub use request::{Filter, LetterId, Repair, Repairs, Request};
pub use survey::Left;

use crate::audit::partitions;
use crate::scan::Scanner;
use ledger::Ledger;
use post::Post;
use survey::Survey;

/// What a run has done, or would do.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Records sent; in a dry run, that would be.
    pub sent: u64,
    /// Transactions.
    pub transactions: u64,
    /// What was not sent, and why.
    pub left: Left,
    /// What was chosen, by reason, worker, key and hour.
    pub histogram: Histogram,
    /// True if it was asked to stop before it was done.
    pub interrupted: bool,
}

/// Told how many records were sent; says whether to go on.
pub type Progress<'a> = &'a mut dyn FnMut(u64) -> bool;

/// Sends back what the request chooses. Another run on the same log is fenced by this one.
///
/// # Errors
/// What was sent before it is written and named in the audit journal: the same run again goes on after it.
pub fn redrive(
    log: &Arc<dyn Log>,
    request: &Request,
    progress: Progress<'_>,
) -> Result<Outcome, RedriveError> {
    // First of all: after this no other run can send anything, and all that one has sent is in the ledger.
    let mut post = Post::open(log)?;
    let mut outcome = Outcome::default();
    let mut scanner = Scanner::new(Arc::clone(log))?;
    for partition in chosen_partitions(log, request)? {
        let taken = post.ledger.of(&request.topic, partition);
        let survey = Survey::of(log, &mut scanner, request, partition, &taken)?;
        outcome.note(&survey);
        let mut rest = survey.chosen.as_slice();
        while !rest.is_empty() {
            if !progress(outcome.sent) {
                outcome.interrupted = true;
                return Ok(outcome);
            }
            let (now, later) = rest.split_at(parcel::fits(rest));
            rest = later;
            let parcel = parcel::pack(&mut scanner, request, partition, now)?;
            outcome.left.gone += now.len() as u64 - parcel.count;
            if parcel.records.is_empty() {
                continue;
            }
            outcome.sent += parcel.count;
            post.send(request, partition, parcel)?;
            outcome.transactions += 1;
        }
    }
    progress(outcome.sent);
    Ok(outcome)
}

/// What [`redrive`] would send now. Writes nothing, and fences nobody.
///
/// # Errors
/// The log's, or a ledger that was changed.
pub fn survey(log: &Arc<dyn Log>, request: &Request) -> Result<Outcome, RedriveError> {
    let mut outcome = Outcome::default();
    let mut scanner = Scanner::new(Arc::clone(log))?;
    let ledger = Ledger::read(&mut scanner)?;
    for partition in chosen_partitions(log, request)? {
        let taken = ledger.of(&request.topic, partition);
        let survey = Survey::of(log, &mut scanner, request, partition, &taken)?;
        outcome.note(&survey);
        outcome.sent += survey.chosen.len() as u64;
    }
    Ok(outcome)
}

/// Repairs of letters that there are not: the line of each, and what is wrong with it.
///
/// # Errors
/// The log's, or a ledger that was changed.
pub fn unknown(log: &Arc<dyn Log>, request: &Request) -> Result<Vec<(u64, String)>, RedriveError> {
    let Some(repairs) = &request.repairs else { return Ok(Vec::new()) };
    let mut scanner = Scanner::new(Arc::clone(log))?;
    let ledger = Ledger::read(&mut scanner)?;
    let mut known = BTreeSet::new();
    for partition in chosen_partitions(log, request)? {
        let taken = ledger.of(&request.topic, partition);
        known.extend(Survey::of(log, &mut scanner, request, partition, &taken)?.known);
    }
    let strange = repairs.letters.iter().filter(|(id, _)| !known.contains(id));
    let told = strange.map(|(id, repair)| {
        let at = letters(&request.topic, id.partition);
        let what = match id.behind {
            None => format!(
                "{at} has no letter of one record at offset {} (of a range letter, `behind` says which record)",
                id.letter
            ),
            Some(offset) => {
                format!("{at} has no range letter at offset {} that stands for offset {offset}", id.letter)
            }
        };
        (repair.line, what)
    });
    let mut told: Vec<(u64, String)> = told.collect();
    told.sort();
    Ok(told)
}

impl Outcome {
    fn note(&mut self, survey: &Survey) {
        self.left.add(&survey.left);
        self.histogram.add(&survey.histogram);
    }
}

fn chosen_partitions(log: &Arc<dyn Log>, request: &Request) -> Result<Vec<i32>, RedriveError> {
    let count = partitions(log, &dlq_topic(request.topic.as_str()))?;
    if let Some(repairs) = &request.repairs {
        let named: BTreeSet<i32> = repairs.letters.keys().map(|id| id.partition).collect();
        return Ok(named.into_iter().filter(|partition| (0..count).contains(partition)).collect());
    }
    match request.filter.partition {
        Some(one) if (0..count).contains(&one) => Ok(vec![one]),
        Some(one) => Err(RedriveError::NoPartition { topic: request.topic.clone(), partition: one, count }),
        None => Ok((0..count).collect()),
    }
}

fn letters(topic: &TopicName, partition: i32) -> TopicPartition {
    TopicPartition::new(dlq_topic(topic.as_str()), partition)
}

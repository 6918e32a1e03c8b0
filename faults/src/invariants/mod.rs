//! What holds on every log at rest, whatever its workers went through.
//!
//! Each invariant has a file, and all are checked by [`check_all`], from what is on the log alone: journal,
//! outputs, inputs, letters. None of them knows a scenario. At rest means that the workers watched have
//! stopped, or have nothing under way.

mod accounted;
mod fates;
mod journals;
mod once;
mod ordered;
mod outputs;
mod replayed;
mod returned;
mod settled;
mod ticked;
mod violation;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{Log, LogError};

pub(crate) use self::outputs::from;
pub use self::violation::{Invariant, Violation};
pub use self::watched::Watched;

use self::journals::Journals;
use self::outputs::Outputs;

/// So many violations of one invariant by one worker are told.
const MOST: usize = 100;

/// What is granted.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Every partition must be readable to its end within this: longer than a log takes to give up a
    /// transaction that was left open.
    pub settled_within: Duration,
    /// Journal records of another code version are passed over instead of being a violation.
    pub other_versions: bool,
}

impl Default for Terms {
    /// Thirty seconds, and one version alone.
    fn default() -> Self {
        Self { settled_within: Duration::from_secs(30), other_versions: false }
    }
}

/// Checks every invariant for these workers. No violation means that all hold.
///
/// If a partition is stuck nothing else is looked at: it cannot be read to its end. Memory grows with the
/// outputs, about 200 B each.
///
/// # Errors
/// The log's, where it cannot be read.
pub fn check_all(log: &Arc<dyn Log>, watched: &[Watched], terms: &Terms) -> Result<Vec<Violation>, LogError> {
    let mut found = settled::check(log, terms.settled_within)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let mut scanner = Scanner::new(Arc::clone(log))?;
    found.extend(returned::check(log, &mut scanner)?);
    for worker in watched {
        let journals = Journals::read(log, &mut scanner, worker)?;
        let outputs = Outputs::read(log, &mut scanner, worker)?;
        found.extend(accounted::check(log, worker)?);
        found.extend(once::check(&journals, &outputs));
        found.extend(ordered::check(&outputs));
        found.extend(fates::check(log, &mut scanner, worker)?);
        found.extend(ticked::check(worker, &journals, &outputs));
        found.extend(replayed::check(log, worker, terms)?);
    }
    Ok(found)
}

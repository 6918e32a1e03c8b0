//! The demo: a real tape with its incident book through the whole pipeline, in lock step.
//!
//! The player commits one slice of tape, each worker in pipeline order runs to the true end of the log,
//! then the next slice: so two runs with the same seed write the same bytes. An order gate that has read of a halt
//! acknowledges it with the next slice.

mod gate;
mod stage;
mod summary;
mod view;
mod watch;

use std::path::PathBuf;
use std::time::Instant;

use tapewatch_config::Settings;

use crate::{CliError, Paint};

pub use stage::witness;
pub use summary::Summary;

/// What to show.
#[derive(Clone, Debug)]
pub struct Options {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// True if the incident book is played.
    pub incidents: bool,
    /// At most so many bars.
    pub bars: Option<usize>,
    /// The folder of the log; a fresh one if none.
    pub folder: Option<PathBuf>,
    /// True if a live view is wanted (it is shown on a terminal only).
    pub live: bool,
    /// Colour.
    pub paint: Paint,
}

/// Plays, watches, judges.
///
/// # Errors
/// If the folder, the log or a worker fails. What was found is in the summary, not an error.
pub fn run(options: &Options, settings: &Settings) -> Result<Summary, CliError> {
    let mut stage = stage::Stage::set(options, settings)?;
    let mut view = view::View::new(options, &stage);
    let begun = Instant::now();
    while let Some(slice) = stage.next_slice()? {
        view.draw(&stage, &slice);
    }
    view.close();
    stage.finish(begun.elapsed())
}

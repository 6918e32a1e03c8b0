//! Writing to a log: events one by one, or a tape slice by slice.

mod events;
mod play;
mod slices;

pub use events::{EventPublisher, PublishError};
pub use play::{Pace, PlayError, Played, play};
pub use slices::{PLAYER_ID, SliceError, SliceWriter};

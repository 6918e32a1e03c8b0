//! Writing to a log: events one by one, or a tape slice by slice.

mod events;
mod lookup;
mod play;
mod slices;

pub(crate) use lookup::is_there;

pub use events::{EventPublisher, PublishError};
pub use play::{Pace, PlayError, Played, play, play_through};
pub use slices::{PLAYER_ID, SliceError, SliceWriter};

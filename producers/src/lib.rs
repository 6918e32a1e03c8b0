//! What writes inputs: the tape player with its reference strategy and incident book, and a publisher.
//!
//! [`Player`] turns a [`Tape`] into [`Slice`]s of events, the same for the same seed, byte for byte.

mod incidents;
mod market;
mod money;
mod options;
mod outlet;
mod player;
mod random;
mod slice;
pub mod tape;
mod trading;

pub use incidents::{About, Expectation, Found, FoundAlert, Incident, IncidentBook, Kind, Says, Verdict};
pub use options::{Layout, PlayerError, PlayerOptions, SIM_SOURCE, TAPE_SOURCE};
pub use player::Player;
pub use slice::{Body, Slice, SliceRecord};
pub use tape::{Bar, Tape, TapeError, TapeReport};

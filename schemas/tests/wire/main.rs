//! The events on the wire: a file per hazard, apache-avro as the judge of the bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic where it stands")]

mod amounts;
mod checks;
mod evolution;
mod hostile;
mod json;
mod partly;
mod released;
mod round_trip;
mod sample;

//! Plays the tape.
fn main() {}

//! tapewatch.
fn main() {}

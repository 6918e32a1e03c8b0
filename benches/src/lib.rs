//! tapewatch benches.

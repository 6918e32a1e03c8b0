//! tapewatch config.

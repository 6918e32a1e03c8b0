//! tapewatch producers.

//! tapewatch consumers.

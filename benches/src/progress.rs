//! A line that says how far a long measurement is, where there is a terminal to say it on.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(250);

/// A line on standard error; taken away when it is dropped.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    said: Option<Instant>,
}

impl Progress {
    /// A line that says nothing yet.
    pub fn new() -> Self {
        Self { terminal: stderr().is_terminal(), said: None }
    }

    /// Says how far it is, a few times a second at most.
    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if self.terminal && self.said.is_none_or(|said| said.elapsed() >= EVERY) {
            self.said = Some(Instant::now());
            // Nobody is left to tell if standard error is gone.
            let _ = write!(stderr(), "\r\x1b[K{}", text());
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.said.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

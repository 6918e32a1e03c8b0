//! Colour, where a person looks at it.

use std::env;
use std::io::IsTerminal;

/// Whether a stream is coloured: only a terminal, and not where `NO_COLOR` is set or the terminal is dumb.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// For a stream.
    pub fn for_stream(stream: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(stream.is_terminal() && !refused)
    }

    /// Bad.
    pub fn red(self, text: &str) -> String {
        self.with("31;1", text)
    }

    /// Beside the point.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// To be seen first.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

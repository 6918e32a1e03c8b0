use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A line on the terminal that says how far it is, once it takes longer than a moment.
pub(crate) struct Progress {
    what: &'static str,
    of: Option<u64>,
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str, of: Option<u64>) -> Self {
        let next = io::stderr().is_terminal().then(|| Instant::now() + Duration::from_secs(1));
        Self { what, of, next, shown: false }
    }

    pub(crate) fn show(&mut self, done: u64) {
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            let of = self.of.map(|of| format!(" of {of}")).unwrap_or_default();
            // What cannot be shown is not missed.
            let _ = write!(io::stderr(), "\r{done}{of} {}\x1b[K", self.what);
            (self.next, self.shown) = (Some(now + Duration::from_millis(200)), true);
        }
    }

    pub(crate) fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.shown = false;
        }
    }
}

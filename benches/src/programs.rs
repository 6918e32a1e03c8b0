//! Programs that run as processes beside the harness: tapewatch's own, and the peers it is compared with.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::stage::r_file;

/// A program; killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
    /// What it writes to standard error, in a file without a name.
    words: File,
}

impl Program {
    /// Starts a program that was built beside the harness.
    ///
    /// # Errors
    /// If it is not there, or does not start.
    pub fn start(name: &str, url: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let path = std::env::current_exe()?.with_file_name(name);
        if !path.is_file() {
            let build = "cargo build --release --workspace --bins";
            return Err(format!("{} is not there: `{build}` builds it", path.display()).into());
        }
        let level = std::env::var_os("TAPEWATCH_TELEMETRY__LEVEL").unwrap_or_else(|| "warn".into());
        let mut command = Command::new(path);
        command.arg("--config").arg(r_file()).args(arguments).args(["--log", &absolute(url)?]);
        if url.starts_with("kafka:") {
            command.args(["--env", "kafka"]);
        }
        // Settings are the harness's own.
        command.current_dir(std::env::temp_dir()).env("TAPEWATCH_TELEMETRY__LEVEL", level);
        Self::spawn(name, command)
    }

    /// Starts any program; what it says is shown if it fails.
    ///
    /// # Errors
    /// If it does not start.
    pub fn spawn(name: &str, mut command: Command) -> Result<Self, Failure> {
        let words = tempfile::tempfile()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words.try_clone()?);
        let child = command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        Ok(Self { child, name: name.to_owned(), words })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// That it still runs.
    ///
    /// # Errors
    /// If it has ended, with its last words.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("ended with {status}"))),
        }
    }

    /// `kill -9`; returns once it is gone.
    pub fn kill(mut self) -> Result<(), Failure> {
        self.check()?;
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it does nothing more until [`Program::go_on`].
    pub fn hold(&mut self) -> Result<(), Failure> {
        self.signal("STOP")
    }

    /// SIGCONT.
    pub fn go_on(&mut self) -> Result<(), Failure> {
        self.signal("CONT")
    }

    /// SIGTERM, as a service manager stops it; returns once it has ended by itself.
    ///
    /// # Errors
    /// If it fails, or takes more than half a minute.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.signal("TERM")?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.failure(&format!("ended with {status}"))),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(self.failure("does not stop"))
    }

    fn signal(&mut self, signal: &str) -> Result<(), Failure> {
        self.check()?;
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(self.failure(&format!("took no {signal}"))) }
    }

    fn failure(&mut self, what: &str) -> Failure {
        let words = self.last_words();
        format!("{} {what}: {words}", self.name).into()
    }

    fn last_words(&mut self) -> String {
        let mut text = String::new();
        let read = self.words.seek(SeekFrom::Start(0)).and_then(|_| self.words.read_to_string(&mut text));
        let from = text.char_indices().rev().nth(999).map_or(0, |(at, _)| at);
        if read.is_err() || text.trim().is_empty() { "it said nothing".into() } else { text[from..].into() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An embedded log's address that means the same in every folder.
fn absolute(url: &str) -> Result<String, Failure> {
    let Some(path) = url.strip_prefix("sqlite:") else { return Ok(url.to_owned()) };
    if path == ":memory:" {
        return Err("a log in memory cannot be shared with another process".into());
    }
    let path: PathBuf = std::path::absolute(Path::new(path))?;
    Ok(format!("sqlite:{}", path.display()))
}

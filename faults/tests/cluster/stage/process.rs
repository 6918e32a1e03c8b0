//! Programs of tapewatch as processes of their own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{PATIENCE, until};

/// The program, from the folder in which this test was built.
pub(crate) fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).expect("tests are built in target/…/deps");
    let program = folder.join(name);
    let build = "`cargo build -p tapewatch-consumers -p tapewatch --bins` builds it";
    assert!(program.is_file(), "{} is not there: {build}", program.display());
    program
}

/// A program of tapewatch's with no settings but these.
pub(crate) fn command(program: &Path, folder: &Path, settings: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TAPEWATCH_")) {
        command.env_remove(name);
    }
    command.envs(settings.iter().cloned()).current_dir(folder).stdin(Stdio::null());
    command
}

/// A worker's process; killed if the test fails.
pub(crate) struct Process {
    child: Child,
    pub(crate) instance: String,
    said: PathBuf,
}

impl Process {
    /// Starts it; what it says goes to a file.
    pub(crate) fn start(mut command: Command, instance: &str, said: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&said).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{instance}: {error}"));
        Self { child, instance: instance.to_owned(), said }
    }

    /// Everything that processes of this name have said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&mut self, signal: &str) {
        assert!(self.ended().is_none(), "{} had ended by itself:\n{}", self.instance, self.tail());
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap();
        assert!(sent.success(), "{} had ended by itself:\n{}", self.instance, self.tail());
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.signal("KILL");
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must end well.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        let status = self.end(PATIENCE);
        assert!(status.success(), "{} ended with {status}:\n{}", self.instance, self.tail());
    }

    /// Waits for its end by itself.
    pub(crate) fn end(&mut self, patience: Duration) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                begun.elapsed() < patience,
                "{} did not end within {patience:?}:\n{}",
                self.instance,
                self.tail()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// It must not have ended.
    pub(crate) fn lives(&mut self) {
        let ended = self.ended();
        assert!(ended.is_none(), "{} ended by itself ({}):\n{}", self.instance, ended.unwrap(), self.tail());
    }

    /// Waits until it has said this so many times.
    pub(crate) fn hear(&mut self, words: &str, times: usize) {
        until(&format!("{} to say `{words}` ({times})", self.instance), || {
            self.lives();
            self.heard(words) >= times
        });
    }

    /// How often it has said this.
    pub(crate) fn heard(&self, words: &str) -> usize {
        self.said().matches(words).count()
    }

    /// The end of what it said.
    pub(crate) fn tail(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless the test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the last that {} said:\n{}", self.instance, self.tail());
        }
    }
}

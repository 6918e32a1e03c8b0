//! Running the binary in a folder of its own.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

pub(crate) mod up;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder in which commands run, with no settings but its own.
pub(crate) struct Folder {
    folder: TempDir,
    vars: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), vars: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, text: &str) -> Self {
        self.vars.push((name.into(), text.into()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.run_with_input(args, "")
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Done {
        let mut command = self.command(env!("CARGO_BIN_EXE_tapewatch"));
        let mut child = command.args(args).stdin(Stdio::piped()).spawn().unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Done::of(&child.wait_with_output().unwrap())
    }

    pub(crate) fn shell(&self, script: &str) -> Done {
        Done::of(&self.command("sh").args(["-c", script]).output().unwrap())
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TAPEWATCH_")) {
            command.env_remove(name);
        }
        command
            .current_dir(self.folder.path())
            .env("TAPEWATCH", env!("CARGO_BIN_EXE_tapewatch"))
            .envs(self.vars.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Done {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

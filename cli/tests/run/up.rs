//! `tapewatch up`, while a test needs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Folder;

/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every worker on a folder's log; killed if the test fails.
pub(crate) struct Up {
    child: Child,
    /// Where risk answers.
    pub(crate) risk: String,
    /// Takes in what is said later, so that nothing blocks.
    said: Option<JoinHandle<()>>,
}

impl Up {
    /// Starts it, and waits until both workers are ready.
    pub(crate) fn ready(folder: &Folder) -> Self {
        let mut child = folder
            .command(env!("CARGO_BIN_EXE_tapewatch"))
            .arg("up")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let (mut risk, mut alerting, mut line) = (None, None, String::new());
        while risk.is_none() || alerting.is_none() {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended before it was ready");
            let address = |name: &str| {
                let rest = line.strip_prefix(name)?.strip_prefix(": http://")?;
                Some(rest.trim_end().trim_end_matches("/status").to_owned())
            };
            risk = risk.or_else(|| address("risk"));
            alerting = alerting.or_else(|| address("alerting"));
        }
        let said = std::thread::spawn(move || {
            let _ = std::io::copy(&mut lines, &mut std::io::sink());
        });
        let up = Self { child, risk: risk.unwrap(), said: Some(said) };
        for address in [&up.risk, &alerting.unwrap()] {
            until("ready", || get(address, "/readyz").starts_with("HTTP/1.1 200"));
        }
        up
    }

    /// Ctrl-C; the exit code.
    pub(crate) fn interrupt(mut self, folder: &Folder) -> Option<i32> {
        assert_eq!(folder.shell(&format!("kill -INT {}", self.child.id())).code, 0);
        let code = self.child.wait().unwrap().code();
        self.said.take().unwrap().join().unwrap();
        code
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// What `status --json` says of risk.
pub(crate) fn risk_status(folder: &Folder) -> Value {
    let done = folder.run(&["status", "--worker", "risk", "--json"]);
    let status: Value = serde_json::from_str(&done.out).unwrap_or_else(|_| panic!("{}", done.err));
    assert_eq!((done.code == 0, status["log"].is_string()), (status["holds"] == true, true), "{status}");
    status
}

/// Sums a figure over the lines of a topic.
pub(crate) fn sum(status: &Value, topic: &str, figure: &str) -> i64 {
    let lines = status["workers"][0]["law1"].as_array().unwrap().iter();
    lines.filter(|line| line["topic"] == topic).map(|line| line[figure].as_i64().unwrap()).sum()
}

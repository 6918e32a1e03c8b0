//! A broker that wants TLS and a login by SCRAM, as `scripts/kafka up --secure` starts it: TAPEWATCH_TEST_SECURE is
//! the settings file that it wrote. Without it this is skipped, and says so.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use std::fs;
use std::path::{Path, PathBuf};

use run::Folder;
use run::up::{Up, risk_status, sum, until};

fn settings() -> Option<PathBuf> {
    let given = std::env::var_os("TAPEWATCH_TEST_SECURE");
    if given.is_none() {
        println!("skipped: TAPEWATCH_TEST_SECURE is not set, there is no broker with TLS to speak to");
    }
    given.map(PathBuf::from)
}

fn folder(config: &Path) -> Folder {
    Folder::new()
        .with("TAPEWATCH_CONFIG", config.to_str().unwrap())
        .with("TAPEWATCH_TOPICS__PARTITIONS", "2")
        .with("TAPEWATCH_RUNTIME__ADMIN", "127.0.0.1:0")
}

/// The settings with one line changed, in a folder of their own.
fn changed(config: &Path, key: &str, line: &str) -> (Folder, PathBuf) {
    let folder = Folder::new();
    for name in ["ca.pem", "password"] {
        folder.write(name, &fs::read_to_string(config.with_file_name(name)).unwrap());
    }
    let text = fs::read_to_string(config).unwrap();
    let is = |written: &&str| written.starts_with(key);
    assert_eq!(text.lines().filter(is).count(), 1, "{text}");
    let lines: Vec<&str> = text.lines().map(|old| if is(&old) { line } else { old }).collect();
    folder.write("tapewatch.toml", &lines.join("\n"));
    let path = folder.path("tapewatch.toml");
    (folder, path)
}

#[test]
fn workers_read_and_write_through_tls_and_scram() {
    let Some(config) = settings() else { return };
    let folder = folder(&config);
    assert_eq!(folder.run(&["topics", "create"]).code, 0);
    let up = Up::ready(&folder);
    let line = "{\"source\":\"me\",\"sequence\":1,\"event_time\":\"2026-05-02T12:00:00Z\",\"portfolio\":\"P1\",\
                \"currency\":\"USD\",\"cash\":\"1\",\"equity\":\"1\",\"deposits\":\"0\",\"withdrawals\":\"0\"}\n";
    let done = folder.run_with_input(&["produce", "accounts.v1"], line);
    assert_eq!(done.code, 0, "{}", done.err);
    until("taken", || sum(&risk_status(&folder), "accounts.v1", "processed") == 1);
    assert_eq!(up.interrupt(&folder), Some(0));
    let replayed = folder.run(&["replay", "--verify", "--worker", "risk"]);
    assert_eq!(replayed.code, 0, "{}{}", replayed.out, replayed.err);
}

#[test]
fn what_the_broker_or_its_certificate_refuses_is_told_apart() {
    let Some(config) = settings() else { return };
    let plain = fs::read_to_string(&config).unwrap();
    let url = plain.lines().find(|line| line.starts_with("url")).unwrap().to_owned();
    let cases = [
        ("password_file", "password = \"no\"", "uthentication"),
        ("ca_file", "", "certificate verify failed"),
    ];
    for (key, line, words) in cases {
        let (own, path) = changed(&config, key, line);
        let done = folder(&path).run(&["topics", "list"]);
        assert_eq!(done.code, 4, "{line}: {}", done.err);
        assert!(done.err.contains(words), "{line}: {}", done.err);
        drop(own);
    }
    // Without TLS to a port that wants it.
    let bare = Folder::new();
    bare.write("tapewatch.toml", &format!("[log]\n{url}\n"));
    let done = folder(&bare.path("tapewatch.toml")).run(&["topics", "list"]);
    assert_eq!(done.code, 4, "{}", done.err);
}

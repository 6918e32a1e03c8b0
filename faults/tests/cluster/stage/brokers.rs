//! The three brokers: who leads what, and how to hurt one. By `scripts/kafka` alone.

use std::path::PathBuf;
use std::process::Command;

/// Runs `scripts/kafka`; what it printed.
pub(crate) fn kafka(arguments: &[&str]) -> Result<String, String> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka");
    let done = Command::new(script).args(arguments).output().expect("scripts/kafka runs");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.success() { Ok(out.into_owned()) } else { Err(format!("{arguments:?}: {out}{err}")) }
}

/// As [`kafka`], which must succeed.
pub(crate) fn told(arguments: &[&str]) -> String {
    kafka(arguments).unwrap_or_else(|why| panic!("scripts/kafka {why}"))
}

/// Mends whatever an earlier scenario left behind. False if the address is not that of the brokers of
/// `scripts/kafka` in `KAFKA_DATA_DIR`, which alone can be hurt.
pub(crate) fn healed(address: &str) -> bool {
    let state = kafka(&["status"]);
    let text = state.as_ref().unwrap_or_else(|text| text);
    if std::env::var_os("KAFKA_DATA_DIR").is_none() || !text.lines().any(|line| line.trim() == address) {
        return false;
    }
    for number in ["1", "2", "3"] {
        // It may not run, and then cannot be continued.
        let _ = kafka(&["continue", number]);
        told(&["start", number]);
    }
    true
}

/// The broker that leads a partition.
pub(crate) fn leader(topic: &str, partition: i32) -> String {
    told(&["leader", topic, &partition.to_string()]).trim().to_owned()
}

/// The broker that coordinates a group or a transactional id.
pub(crate) fn coordinator(of: &str, id: &str) -> String {
    told(&["coordinator", of, id]).trim().to_owned()
}

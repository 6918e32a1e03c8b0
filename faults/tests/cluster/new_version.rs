//! A new binary with changed analytics after kill -9: a new epoch in the journal, no deadlock on the digests of
//! the old one, and a replay that names the version which the rest needs.
//!
//! The new binary is a copy of the old with a few bytes changed: its code version, and the name of a measure,
//! so that it computes what the old did not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tapewatch_consumers::workers::CODE_VERSION;
use tapewatch_faults::invariants::Terms;
use tapewatch_schemas::catalogue::{RISK, RISK_METRICS};

use crate::stage::process::program;
use crate::stage::tape::outputs;
use crate::stage::{Stage, injected};

/// A measure that no limit of the settings is on.
const MEASURE: (&str, &str) = ("herfindahl", "herfindohl");

/// Replaces every such text by one of the same length. How many there were.
fn replace(bytes: &mut [u8], old: &str, new: &str) -> usize {
    assert_eq!(old.len(), new.len());
    let mut found = 0;
    let mut at = 0;
    while let Some(next) = bytes[at..].windows(old.len()).position(|window| window == old.as_bytes()) {
        at += next;
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
        found += 1;
    }
    found
}

#[test]
fn a_new_version_opens_an_epoch_and_goes_on() {
    let Some(stage) = Stage::open("new-version") else { return };
    // A compiler may keep a text in pieces: the first sixteen bytes are one.
    let (_, digest) = CODE_VERSION.split_once('+').expect("RELEASE+DIGEST");
    let other = if digest.starts_with('0') { "1" } else { "0" };
    let version = CODE_VERSION.replace(digest, &format!("{other}{}", &digest[1..]));
    let mut bytes = fs::read(program("tapewatch-risk")).unwrap();
    let found = replace(&mut bytes, &CODE_VERSION[..16], &version[..16]);
    assert!(found > 0, "this test and the worker are of different sources");
    assert!(replace(&mut bytes, MEASURE.0, MEASURE.1) > 0, "there is no such measure");
    let next = stage.path("tapewatch-risk-next");
    fs::write(&next, bytes).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).unwrap();

    let (feeder, _) = stage.load(400);
    let mut journals = stage.journals();
    let mut worker = stage.risk("one");
    journals.all_go_on(&mut worker);
    worker.kill();
    let mut worker = stage.program(&next, "one");
    journals.all_go_on(&mut worker);
    worker.kill();
    let mut worker = stage.program(&next, "one");
    feeder.finish();
    journals.see_the_end(&mut worker);
    worker.stop();

    for (task, records) in &journals.records {
        let epochs: Vec<_> = records.iter().filter_map(|record| record.opens.as_ref()).collect();
        let codes: Vec<&str> = epochs.iter().map(|epoch| epoch.code.as_str()).collect();
        assert_eq!(codes, [CODE_VERSION, &version], "epochs of task {task}");
    }
    let named = |name: &str| {
        let outputs = outputs(&stage.log).into_iter().filter(|((topic, _), _)| topic == RISK_METRICS);
        let values = outputs.flat_map(|(_, outputs)| outputs).map(|(_, value)| value);
        values.filter(|value| value.windows(name.len()).any(|window| window == name.as_bytes())).count()
    };
    assert!(named(MEASURE.0) > 0 && named(MEASURE.1) > 0, "the new version computes what the old did");
    injected("a binary with another version and another measure after kill -9");
    stage.judge_on(&[RISK], &Terms { other_versions: true, ..Terms::default() });
    let replayed = stage.tapewatch(&["replay", "--verify", "--worker", RISK]);
    let told = String::from_utf8_lossy(&[replayed.stdout, replayed.stderr].concat()).into_owned();
    assert_eq!(replayed.status.code(), Some(7), "{told}");
    assert!(told.contains(&version), "the version that the rest needs is not named:\n{told}");
}

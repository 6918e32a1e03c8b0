//! `replay` as a tool: chosen tasks, and a log that is never written to.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use run::Folder;
use serde_json::{Value, json};
use tapewatch_consumers::scan::Scanner;
use tapewatch_eventlog::{LogError, OpenOptions, TopicPartition, open};
use tapewatch_schemas::events::{Alert, AlertState};
use tapewatch_schemas::{Codec, Event};

/// A short demo in `log/tape.db`, which is the folder's log.
fn demo() -> Folder {
    let folder = Folder::new();
    let done = folder.run(&["demo", "--bars", "900", "--json", "--dir", "log"]);
    assert_eq!(done.code, 0, "{}", done.err);
    // What is above portfolios rests on the feed that stopped, too, and was judged.
    let said: Value = serde_json::from_str(&done.out).unwrap();
    let rested = said["stopped"]["rested"].as_object().unwrap();
    assert!(rested.contains_key("firm:tape") && rested.keys().any(|scope| scope.starts_with("desk:")));
    let url = format!("sqlite:{}", folder.path("log/tape.db").display());
    folder.with("TAPEWATCH_LOG", &url)
}

/// Every file beside the log, with its bytes; groups and members stand in them, too.
fn files(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.path("log")).unwrap().map(Result::unwrap);
    let read =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    entries.map(read).filter(|(_, bytes)| !bytes.is_empty()).collect()
}

/// Runs it, and makes sure that not a byte of the log has changed.
fn reading(folder: &Folder, args: &[&str]) -> run::Done {
    let before = files(folder);
    let done = folder.run(args);
    let after = files(folder);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "{args:?}");
    assert!(before == after, "{args:?} wrote to the log");
    done
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_replay_verifies_the_partitions_that_are_named_and_writes_nothing() {
    let folder = demo();
    let all = reading(&folder, &["replay", "--verify", "--env", "demo", "--json"]);
    assert_eq!((all.code, &*all.err), (0, ""), "nothing but the result");
    let all = lines(&all.out);
    let two = ["replay", "--verify", "--env", "demo", "--json", "--worker", "risk"];
    let two = reading(&folder, &[&two[..], &["--partition", "2", "--partition", "0"]].concat());
    assert_eq!(two.code, 0, "{}", two.err);
    let chosen =
        |line: &&Value| line["worker"] == "risk" && (line["partition"] == 0 || line["partition"] == 2);
    let expected: Vec<&Value> = all.iter().filter(chosen).collect();
    assert_eq!(lines(&two.out).iter().collect::<Vec<_>>(), expected, "side by side or alone, the same");

    let beyond = reading(&folder, &["replay", "--verify", "--env", "demo", "--partition", "99"]);
    assert_eq!(beyond.code, 2, "{}", beyond.out);
    assert!(beyond.err.contains("--partition 99: there are the partitions 0 to "), "{}", beyond.err);
}

/// A day of the tape: from the anchor before it to the last round that began in it.
#[test]
fn a_replay_verifies_a_range_of_time() {
    let folder = demo();
    let verify = ["replay", "--verify", "--env", "demo", "--json", "--worker", "risk"];
    let whole = lines(&reading(&folder, &verify).out);
    let day = ["--from", "2021-10-01T00:00:00Z", "--to", "2021-10-02T00:00:00Z"];
    let part = reading(&folder, &[&verify[..], &day].concat());
    assert_eq!(part.code, 0, "{}{}", part.out, part.err);
    let part = lines(&part.out);
    assert_eq!(part.len(), whole.len());
    for (part, whole) in part.iter().zip(&whole) {
        assert_eq!(part["verdict"], "verified", "{part}");
        let number = |line: &Value, name: &str| line[name].as_i64().unwrap();
        assert!(number(part, "first") > 0, "it begins at an anchor: {part}");
        assert!(number(part, "last") < number(whole, "last"), "it ends before the tape: {part}");
        let (inputs, all) = (number(part, "inputs"), number(whole, "inputs"));
        assert!(inputs > 0 && inputs * 2 < all, "two days of nine: {inputs} of {all}");
    }
    // Nothing is not verified.
    let empty = ["--from", "2030-01-01T00:00:00Z", "--to", "2031-01-01T00:00:00Z"];
    for empty in [&empty[..2], &empty] {
        let none = reading(&folder, &[&["replay", "--verify", "--env", "demo"][..], empty].concat());
        let records = none.out.lines().filter(|line| !line.contains("no journal record")).count();
        assert_eq!((none.code, records), (7, 0), "{empty:?}: {}{}", none.out, none.err);
        assert!(none.err.contains("nothing was verified: no journal record lies "), "{}", none.err);
    }
    let backwards = ["--from", "2021-10-02T00:00:00Z", "--to", "2021-10-01T00:00:00Z"];
    for command in [&["replay", "--verify"][..], &["replay", "--what-if", "own.toml"]] {
        let refused = reading(&folder, &[command, &backwards].concat());
        assert_eq!(refused.code, 2, "{command:?}: {}", refused.err);
        assert!(refused.err.contains("is after --to 2021-10-01"), "{}", refused.err);
    }
    let redrive = ["dlq", "redrive", "accounts.v1", "--dry-run"];
    assert_eq!(reading(&folder, &[&redrive[..], &backwards].concat()).code, 2);
}

#[test]
fn what_cannot_be_verified_is_said_once() {
    let folder = demo();
    let done = reading(&folder, &["replay", "--verify"]);
    assert_eq!(done.code, 7, "{}", done.out);
    assert_eq!(done.out.matches("written under configuration").count(), 1, "{}", done.out);
    assert!(done.out.contains("  risk/0 sequence 0 to ") && done.out.contains("; alerting/0 sequence 0 to "));
    // Nor is a position moved with what does not verify.
    let seek = ["seek", "--worker", "risk", "accounts.v1/0", "999999", "--who", "ada", "--why", "a test"];
    let refused = reading(&folder, &seek);
    assert_eq!(refused.code, 7, "{}", refused.err);
    assert!(refused.err.contains("risk/0: the journal was last written under configuration "));
    for (who, why) in [(" ", "a test"), ("ada", &*"x".repeat(513))] {
        let blank = reading(&folder, &[&seek[..5], &["--who", who, "--why", why]].concat());
        assert_eq!(blank.code, 2, "{}", blank.err);
        assert!(blank.err.contains("must be 1 to 512 bytes"), "{}", blank.err);
    }
}

/// An alert from its firing to its end: fingerprint, fired, resolved, severity.
type Episode = (String, String, Option<String>, String);

/// The alerts of a log, as a subscriber sees them.
fn published(url: &str) -> BTreeSet<Episode> {
    let log = open(url, &OpenOptions::default()).unwrap();
    let codec = Codec::new(&[]).unwrap();
    let mut scanner = Scanner::new(log).unwrap();
    let mut open: BTreeMap<String, Episode> = BTreeMap::new();
    let mut done = BTreeSet::new();
    let mut take = |alert: Alert| {
        let (name, time) = (alert.fingerprint.clone(), alert.event_time.to_string());
        if alert.state == AlertState::Resolved {
            let (name, fired, _, severity) = open.remove(&name).unwrap();
            assert!(done.insert((name, fired, Some(time), severity)));
        } else {
            let severity = serde_json::to_value(alert.severity).unwrap().as_str().unwrap().to_owned();
            // It fires once more when a restriction becomes a greater one.
            done.extend(open.insert(name.clone(), (name, time, None, severity)));
        }
    };
    scanner
        .scan::<LogError>(&TopicPartition::new("alerts.v1", 0), 0, |record| {
            let Ok(Event::Alert(alert)) = codec.decode("alerts.v1", record.value.unwrap()) else { panic!() };
            take(alert);
            Ok(())
        })
        .unwrap();
    done.extend(open.into_values());
    done
}

/// What a line of `replay --what-if --json` says of an alert, `recorded` or `then`.
fn episode(line: &Value, which: &str) -> Option<Episode> {
    let of = line[which].as_object()?;
    let text = |name: &str| of[name].as_str().map(ToOwned::to_owned);
    let fingerprint = line["fingerprint"].as_str().unwrap().to_owned();
    Some((fingerprint, text("fired")?, text("resolved"), text("severity")?))
}

/// The demo has limits of its own, which lie over those of a file.
const TIGHTER: &str = "
[[environments.demo.risk.limits]]
name = 'var_95'
measure = 'var_95'
hard = 20_000
hysteresis = 0.02

[[environments.demo.risk.limits]]
name = 'var_99'
measure = 'var_99'
hard = 30_000
hysteresis = 0.02

[[environments.demo.risk.limits]]
name = 'position'
measure = 'position'
hard = 10_000
hysteresis = 0.02

[[environments.demo.risk.limits]]
name = 'leverage'
measure = 'leverage'
hard = 1.0
hysteresis = 0.02

[[environments.demo.risk.limits]]
name = 'drawdown'
measure = 'drawdown'
soft = 0.02
hard = 0.05
hysteresis = 0.02
";

const PATIENT: &str = "
[[alerting.rules]]
name = 'limit_breached'
severity = 'warning'
on = 'limit'
status = 'breached'
for = '100m'

[[alerting.rules]]
name = 'limit_unknown'
severity = 'critical'
on = 'limit'
status = 'unknown'
for = '3h'
";

#[test]
fn under_its_own_configuration_nothing_would_be_otherwise() {
    let folder = demo();
    folder.write("own.toml", "");
    let done = reading(&folder, &["replay", "--what-if", "own.toml", "--env", "demo", "--json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let fired = published(&format!("sqlite:{}", folder.path("log/tape.db").display())).len();
    assert!(fired > 10, "{fired}");
    let lines = lines(&done.out);
    assert_eq!(lines.len(), 1, "{}", done.out);
    assert_eq!((&lines[0]["recorded"], &lines[0]["then"]), (&json!(fired), &json!(fired)));
    let told = reading(&folder, &["replay", "--what-if", "own.toml", "--env", "demo"]);
    assert_eq!(told.out, format!("no difference: {fired} alerts fired, and the same would have\n"));
    assert_eq!(told.err, "");
    // The totals are the range's, too.
    let before = ["replay", "--what-if", "own.toml", "--env", "demo", "--to", "2001-01-01T00:00:00Z"];
    let told = reading(&folder, &before);
    assert_eq!(told.out, "no difference: 0 alerts fired, and the same would have\n");
    // Of another clock it is another answer.
    let elsewhere = reading(&folder, &["replay", "--what-if", "own.toml", "--json"]);
    assert!(elsewhere.err.starts_with("warning: the workers of this log ran under configuration "));
    assert!(elsewhere.err.contains("--env NAME"), "{}", elsewhere.err);
}

#[test]
fn under_tighter_limits_it_tells_of_the_alerts_that_a_run_under_them_publishes() {
    let summary = would_be_as_it_is(TIGHTER);
    assert!(summary["appear"].as_u64() > Some(30), "{summary}");
}

#[test]
fn under_more_patient_rules_it_tells_of_the_alerts_that_a_run_under_them_publishes() {
    let summary = would_be_as_it_is(PATIENT);
    assert!(summary["move"].as_u64() > Some(3) && summary["disappear"].as_u64() > Some(3), "{summary}");
}

/// Figures of the firm are of all its portfolios, and a worker of its own makes them.
#[test]
fn under_a_tighter_limit_of_the_firm_it_tells_of_the_alerts_that_a_run_under_it_publishes() {
    let limits = r#"[{ name = "firm_gross", measure = "gross_exposure", hard = 420_000, hysteresis = 0.9 }]"#;
    let summary = in_folder(demo().with("TAPEWATCH_FIRM__LIMITS", limits), "");
    assert!(summary["appear"].as_u64() > Some(0), "{summary}");
}

/// What another configuration would give is what a run under it gives. Returns the last line of the answer.
fn would_be_as_it_is(configuration: &str) -> Value {
    in_folder(demo(), configuration)
}

/// The same in a folder with a demo.
fn in_folder(folder: Folder, configuration: &str) -> Value {
    folder.write("other.toml", configuration);
    let done = reading(&folder, &["replay", "--what-if", "other.toml", "--env", "demo", "--json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let live = ["demo", "--bars", "900", "--json", "--dir", "live", "--config", "other.toml"];
    // It may well find what no incident explains, or miss one: its limits and rules are not the demo's.
    assert!([0, 1].contains(&folder.run(&live).code));

    let was = published(&format!("sqlite:{}", folder.path("log/tape.db").display()));
    let live = published(&format!("sqlite:{}", folder.path("live/tape.db").display()));
    let mut would_be = was.clone();
    let mut lines = lines(&done.out);
    let summary = lines.pop().unwrap();
    for line in &lines {
        if let Some(recorded) = episode(line, "recorded") {
            assert!(would_be.remove(&recorded), "{line}");
        }
        would_be.extend(episode(line, "then"));
    }
    let only = |one: &BTreeSet<Episode>, other: &BTreeSet<Episode>| {
        one.difference(other).take(5).cloned().collect::<Vec<_>>()
    };
    assert_eq!((only(&would_be, &live), only(&live, &would_be)), (vec![], vec![]));
    assert_eq!((&summary["recorded"], &summary["then"]), (&json!(was.len()), &json!(live.len())));
    summary
}

#[test]
fn a_log_is_rebuilt_offset_for_offset_and_stands_by_itself() {
    let folder = demo();
    let source = format!("sqlite:{}", folder.path("log/tape.db").display());
    let target = format!("sqlite:{}", folder.path("audit.db").display());
    let rebuild = ["replay", "--into", &target, "--env", "demo"];
    let done = reading(&folder, &rebuild);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(done.out.contains("verified again, from there alone:"), "{}", done.out);

    let at = ["--env", "demo", "--log", &target];
    let verified = folder.run(&[&["replay", "--verify", "--json"][..], &at].concat());
    assert_eq!(verified.code, 0, "{}", verified.out);
    let status = folder.run(&[&["status"][..], &at].concat());
    assert_eq!(status.code, 0, "{}", status.out);
    assert_eq!(records(&source), records(&target));

    // Never over something, and nothing of a log that does not verify.
    let again = reading(&folder, &rebuild);
    assert_eq!(again.code, 5, "{}", again.err);
    assert!(again.err.contains("has records already"), "{}", again.err);
    for (wrong, told) in
        [(&*source, "that is the log itself"), ("sqlite:no/where.db", "there is no folder no")]
    {
        let refused = reading(&folder, &["replay", "--into", wrong, "--env", "demo"]);
        assert_eq!((refused.code, &*refused.out), (5, ""), "nothing is verified before: {}", refused.err);
        assert!(refused.err.contains(told), "{}", refused.err);
    }
    let kafka = reading(&folder, &["replay", "--into", "kafka:127.0.0.1:9", "--env", "demo"]);
    assert_eq!(kafka.code, 2, "{}", kafka.err);
    let elsewhere = format!("sqlite:{}", folder.path("other.db").display());
    let unverified = reading(&folder, &["replay", "--into", &elsewhere]);
    assert_eq!(unverified.code, 7, "{}", unverified.out);
    assert!(unverified.err.contains("nothing was written to") && !folder.path("other.db").exists());
}

/// Offset, time, key, value and headers of every record of every topic but snapshots, by partition.
type Records = BTreeMap<String, Vec<(i64, i64, Vec<u8>, Vec<u8>, Vec<u8>)>>;

fn records(url: &str) -> Records {
    let log = open(url, &OpenOptions::default()).unwrap();
    let mut scanner = Scanner::new(log.clone()).unwrap();
    let mut found = Records::new();
    for topic in log.topics().unwrap().into_iter().filter(|topic| !topic.name.as_str().starts_with("state."))
    {
        for number in 0..topic.partitions {
            let at = TopicPartition::new(topic.name.clone(), number);
            let records = found.entry(at.to_string()).or_default();
            scanner
                .scan::<LogError>(&at, 0, |record| {
                    let bytes = |part: Option<&[u8]>| part.unwrap_or_default().to_vec();
                    let headers = record.headers.encoded().to_vec();
                    let time = record.timestamp.micros();
                    records.push((record.offset, time, bytes(record.key), bytes(record.value), headers));
                    Ok(())
                })
                .unwrap();
        }
    }
    found
}

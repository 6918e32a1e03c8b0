//! What people do with dead letters, replays and journals, on real brokers: `TAPEWATCH_TEST_KAFKA=kafka:127.0.0.1:9092,…`,
//! a cluster without tapewatch's topics. The same commands on the embedded log have tests of their own: here it is the
//! whole round once, from poison to an audited copy.

mod run;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use run::Folder;
use run::up::{Up, risk_status, sum, until};
use serde_json::{Value, json};
use tapewatch_eventlog::{Log, OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_schemas::catalogue::topic;
use tapewatch_schemas::partition::Partitioner;

const PARTITIONS: u32 = 2;
const ACCOUNT: &str = r#"{"source":"me","sequence":7,"event_time":1600000000000000,"portfolio":"P1",
    "currency":"USD","cash":"12.5","equity":"12.5","deposits":"0","withdrawals":"0"}"#;

fn ok(folder: &Folder, args: &[&str]) -> String {
    let done = folder.run(args);
    assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
    done.out
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Accounts of P1, as they are given: what is no account cannot be used.
fn write(log: &dyn Log, accounts: &[(&'static [u8], String)]) {
    let partition = Partitioner::Murmur2.assign(b"P1", PARTITIONS) as i32;
    let record = |(key, value): &(&'static [u8], String)| OutRecord {
        target: TopicPartition::new("accounts.v1", partition),
        timestamp: None,
        key: Some(Bytes::from_static(key)),
        value: Some(Bytes::from(value.clone())),
        headers: Vec::new(),
    };
    let records = accounts.iter().map(record).collect();
    let mut writer = log.writer("tools").expect("it opens");
    writer.commit(&Round { records, offsets: Vec::new() }, None).expect("it is written");
}

/// How many dead letters `dlq list` counts, by reason.
fn listed(folder: &Folder) -> BTreeMap<String, u64> {
    let lines = objects(&ok(folder, &["dlq", "list", "accounts.v1", "--json"]));
    let of = |line: &Value| Some((line["reason"].as_str()?.to_owned(), line["records"].as_u64()?));
    lines.iter().map(|line| of(line).expect("a reason and a number")).collect()
}

/// Where each of tapewatch's partitions ends.
fn ends(log: &dyn Log) -> BTreeMap<String, i64> {
    let topics = log.topics().expect("they are listed").into_iter();
    let ours =
        topics.filter(|found| tapewatch_schemas::catalogue::Pattern::of(found.name.as_str()).is_some());
    ours.flat_map(|found| (0..found.partitions).map(move |p| TopicPartition::new(found.name.clone(), p)))
        .map(|at| (at.to_string(), log.bounds(&at).expect("it is there").end))
        .collect()
}

/// What was sent back is processed or settled.
fn taken(folder: &Folder, figure: &str, count: i64) {
    until("what was sent back is taken", || {
        sum(&risk_status(folder), "accounts.v1.redrive", figure) == count
    });
}

#[test]
fn letters_replays_and_journals_on_real_brokers() {
    let Ok(address) = std::env::var("TAPEWATCH_TEST_KAFKA") else {
        println!("skipped: TAPEWATCH_TEST_KAFKA is not set, there are no brokers to speak to");
        return;
    };
    let log = open(&address, &OpenOptions::default()).expect("the cluster answers");
    let ours =
        log.topics().expect("its topics").into_iter().any(|found| topic(found.name.as_str()).is_some());
    assert!(!ours, "this test wants a cluster without tapewatch's topics: `scripts/kafka reset`, then up");
    let folder = Folder::new()
        .with("TAPEWATCH_LOG", &address)
        .with("TAPEWATCH_LOG__KAFKA__REPLICATION", &address.split(',').count().min(3).to_string())
        .with("TAPEWATCH_TOPICS__PARTITIONS", &PARTITIONS.to_string())
        .with("TAPEWATCH_RUNTIME__ADMIN", "127.0.0.1:0")
        .with("TAPEWATCH_DEAD_LETTERS__ON_DEAD_LETTER", "hold_key");
    ok(&folder, &["topics", "create"]);
    let up = Up::ready(&folder);
    letters(&folder, &log);
    ok(&folder, &["play", "--seed", "7", "--bars", "200"]);
    until("the tape is read", || {
        let status = risk_status(&folder);
        let lines = status["workers"][0]["law1"].as_array().expect("a list");
        // Workers beat on.
        lines.iter().all(|line| line["lag"] == 0 || line["topic"] == "heartbeats.v1")
    });
    assert_eq!(up.interrupt(&folder), Some(0));
    let before = ends(&*log);
    replays(&folder);
    journals(&folder, &address);
    assert_eq!(ends(&*log), before, "tools that read have written");
}

/// Poison, and each way out of it.
fn letters(folder: &Folder, log: &Arc<dyn Log>) {
    let cut = ACCOUNT.replace(r#""cash":"12.5","#, "");
    write(&**log, &[(b"P1", cut), (b"P1", "{no".into()), (b"P9", ACCOUNT.into())]);
    until("three letters", || listed(folder).values().sum::<u64>() == 3);

    let mut lines = objects(&ok(folder, &["dlq", "export", "accounts.v1"]));
    let reasons: Vec<&Value> = lines.iter().map(|line| &line["reason"]).collect();
    assert_eq!(reasons, ["bad_json", "bad_json", "misrouted"]);
    let (partition, offset) = (lines[0]["partition"].to_string(), lines[0]["letter"].to_string());
    let shown = ok(folder, &["dlq", "show", "accounts.v1", &partition, &offset]);
    assert!(shown.contains("__streams.errors.stacktrace: ") && shown.contains("`cash`: "), "{shown}");
    let object = &objects(&ok(folder, &["dlq", "show", "accounts.v1", &partition, &offset, "--json"]))[0];
    assert_eq!(
        (&object["letter"]["source"], &object["key"]),
        (&lines[0]["source"], &json!("P1")),
        "{object}"
    );
    let dry = ok(folder, &["dlq", "redrive", "accounts.v1", "--dry-run"]);
    assert!(dry.starts_with("3 records would be sent to accounts.v1.redrive"), "{dry}");

    let good: Value = serde_json::from_str(ACCOUNT).expect("it is JSON");
    lines[0]["value"] = good.clone();
    lines[1]["value"] = good;
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    folder.write("repaired.jsonl", &text.join("\n"));
    let import = ["dlq", "import", "repaired.jsonl", "--who", "ann", "--why", "by hand"];
    assert_eq!(ok(folder, &import), "3 repaired records sent to accounts.v1.redrive\n");
    taken(folder, "processed", 3);
    assert!(ok(folder, &import).contains("not sent: 3 were sent back before"));

    // What is junk is given up, and what is only sent back fails again.
    write(&**log, &[(b"P1", "junk".into())]);
    until("a fourth letter", || listed(folder).values().sum::<u64>() == 4);
    let junk = ["dlq", "redrive", "accounts.v1", "--who", "ann", "--why"];
    let again = ok(folder, &[&junk[..], &["perhaps"]].concat());
    assert!(again.starts_with("1 record sent to accounts.v1.redrive in 1 transaction\n"), "{again}");
    until("a fifth letter", || listed(folder).values().sum::<u64>() == 5);
    let given_up = ok(folder, &[&junk[..], &["junk", "--discard"]].concat());
    assert!(
        given_up.starts_with("1 record sent to accounts.v1.redrive as given up in 1 transaction\n"),
        "{given_up}"
    );
    // While what was sent is under way, it is refused.
    until("a key is released", || {
        let done =
            folder.run(&["dlq", "release", "accounts.v1", "--key", "P1", "--who", "ann", "--why", "free"]);
        assert!(!done.out.contains("still there"), "{}", done.out);
        done.code == 0
            && done.out.starts_with("risk waits for nothing of the key any more that was published")
    });
    let audit = objects(&ok(folder, &["tail", "journal.redrive.v1", "--json"]));
    let kinds: Vec<&Value> = audit.iter().map(|line| &line["value"]["kind"]).collect();
    assert!(
        ["import", "redrive", "discard", "release"].iter().all(|kind| kinds.contains(&&json!(kind))),
        "{kinds:?}"
    );
    write(&**log, &[(b"P1", ACCOUNT.replace(":7,", ":8,"))]);
}

fn replays(folder: &Folder) {
    let verified = ok(folder, &["replay", "--verify", "--json"]);
    assert!(objects(&verified).iter().all(|task| task["verdict"] == "verified"), "{verified}");
    folder.write("own.toml", "");
    let own = ok(folder, &["replay", "--what-if", "own.toml", "--json"]);
    let lines = objects(&own);
    let (summary, moved) = lines.split_last().expect("a summary");
    assert!(summary["recorded"].as_u64() > Some(0), "{summary}");
    for figure in ["appear", "disappear", "change"] {
        assert_eq!(summary[figure], 0, "{own}");
    }
    // On the wall clock a tick that is derived anew may come a second before the one that was, and with it what is said
    // of letters.
    let near = |by: &Value| by.as_i64().is_none_or(|by| by.abs() <= 1_000_000);
    for line in moved {
        assert!(line["rule"] == "dead_letters" && near(&line["fires_later"]), "{line}");
    }
    folder.write("other.toml", "[[alerting.rules]]\nname = 'none'\nseverity = 'warning'\non = 'limit'\nstatus = 'breached'\nfor = '9h'\n");
    let other = ok(folder, &["replay", "--what-if", "other.toml", "--json"]);
    assert!(objects(&other).len() > 1, "other rules find nothing else: {other}");

    let url = format!("sqlite:{}", folder.path("copy.db").display());
    let into = ok(folder, &["replay", "--into", &url]);
    assert!(into.contains(&format!(" records are in {url}; verified again")), "{into}");
    for (file, said) in [("own.toml", own), ("other.toml", other)] {
        assert_eq!(ok(folder, &["replay", "--what-if", file, "--json", "--log", &url]), said, "of the copy");
    }
}

fn journals(folder: &Folder, address: &str) {
    let public = ok(folder, &["journal", "key", "mine.key"]).trim().to_owned();
    ok(folder, &["journal", "export", "journals.jsonl"]);
    ok(folder, &["journal", "checkpoint", "--key", "mine.key", "journals.jsonl"]);
    let kept = ok(folder, &["journal", "checkpoint", "--key", "mine.key"]);
    folder.write("kept.jsonl", &kept);
    let file = ok(folder, &["verify-journal", "journals.jsonl", "--key", &public]);
    assert!(file.contains("risk/0: ") && file.contains("; signed up to "), "{file}");
    let live = ["verify-journal", address, "--checkpoints", "kept.jsonl", "--key", &public];
    let copy = format!("sqlite:{}", folder.path("copy.db").display());
    let of_copy = ["verify-journal", &copy, "--checkpoints", "kept.jsonl", "--key", &public];
    assert_eq!(ok(folder, &live), ok(folder, &of_copy));
    let bare = folder.run(&["verify-journal", address, "--key", &public]);
    assert!(bare.code == 7 && bare.out.contains("no checkpoint of the key covers"), "{}", bare.out);
}

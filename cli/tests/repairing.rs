//! `dlq export`, a person with an editor, `dlq import`: beside `up`.

mod run;

use bytes::Bytes;
use run::Folder;
use run::up::{Up, risk_status, sum, until};
use serde_json::Value;
use tapewatch_eventlog::{OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_schemas::partition::Partitioner;

const ACCOUNT: &str = r#"{"source":"me","sequence":7,"event_time":1700000000000000,"portfolio":"P1",
    "currency":"USD","cash":"12.5","equity":"12.5","deposits":"0","withdrawals":"0"}"#;

/// Two records that cannot be used, and one whose key is not its portfolio's.
fn with_letters() -> (Folder, Up) {
    letters(Folder::new())
}

fn letters(folder: Folder) -> (Folder, Up) {
    let folder =
        folder.with("TAPEWATCH_RUNTIME__ADMIN", "127.0.0.1:0").with("TAPEWATCH_TOPICS__PARTITIONS", "2");
    assert_eq!(folder.run(&["topics", "create"]).code, 0);
    let url = format!("sqlite:{}", folder.path("tapewatch.db").display());
    let log = open(&url, &OpenOptions::default()).expect("it is there");
    let partition = Partitioner::Murmur2.assign(b"P1", 2) as i32;
    let record = |key: &'static [u8], value: &str| OutRecord {
        target: TopicPartition::new("accounts.v1", partition),
        timestamp: None,
        key: Some(Bytes::from_static(key)),
        value: Some(Bytes::from(value.to_owned())),
        headers: vec![("traceparent".into(), Bytes::from_static(b"00-abc"))],
    };
    let cut = ACCOUNT.replace(r#""cash":"12.5","#, "");
    let records = vec![record(b"P1", &cut), record(b"P1", "{no"), record(b"P9", ACCOUNT)];
    log.writer("test")
        .expect("it opens")
        .commit(&Round { records, offsets: Vec::new() }, None)
        .expect("written");
    let up = Up::ready(&folder);
    until("three letters", || {
        (0..2)
            .map(|p| log.bounds(&TopicPartition::new("accounts.v1.dlq", p)).expect("there").end)
            .sum::<i64>()
            == 3
    });
    (folder, up)
}

fn exported(folder: &Folder) -> Vec<Value> {
    let done = folder.run(&["dlq", "export", "accounts.v1"]);
    assert_eq!(done.code, 0, "{}", done.err);
    done.out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn file(folder: &Folder, lines: &[Value]) {
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    folder.write("repaired.jsonl", &text.join("\n"));
}

const IMPORT: [&str; 7] = ["dlq", "import", "repaired.jsonl", "--who", "ann", "--why", "by hand"];

#[test]
fn what_a_person_repaired_is_taken() {
    let (folder, up) = with_letters();
    let mut lines = exported(&folder);
    assert_eq!(lines.len(), 3);
    let reasons: Vec<&str> = lines.iter().map(|line| line["reason"].as_str().expect("a text")).collect();
    assert_eq!(reasons, ["bad_json", "bad_json", "misrouted"]);
    assert!(lines[0].get("value").is_none() && lines[0]["value_base64"].is_string(), "{}", lines[0]);
    assert_eq!((&lines[2]["value"]["cash"], &lines[2]["key"]), (&"12.5".into(), &"P9".into()));
    let trace = serde_json::json!({"name": "traceparent", "value": "00-abc"});
    assert!(lines[0]["headers"].as_array().expect("a list").contains(&trace), "{}", lines[0]);

    // One line too little repaired, one with a field too many: nothing is sent.
    let good: Value = serde_json::from_str(ACCOUNT).expect("it is JSON");
    lines[0]["value"] = good.clone();
    lines[1]["value"] = good.clone();
    lines[1]["value"]["cahs"] = "1".into();
    lines[2]["letter"] = 77.into();
    file(&folder, &lines);
    let wrong = folder.run(&IMPORT);
    assert_eq!(wrong.code, 5, "{}", wrong.out);
    for wanted in [
        "repaired.jsonl:2: `value`: `cahs`: ",
        "repaired.jsonl:3: accounts.v1.dlq/",
        "no letter of one record at offset 77",
        "2 lines of repaired.jsonl are wrong, and nothing was sent",
    ] {
        assert!(wrong.err.contains(wanted), "{wanted} in {}", wrong.err);
    }
    assert_eq!(folder.run(&["tail", "accounts.v1.redrive", "--json"]).out, "");

    lines[1]["value"] = good;
    lines[2]["letter"] = 2.into();
    file(&folder, &lines);
    let sent = folder.run(&IMPORT);
    assert_eq!(sent.out, "3 repaired records sent to accounts.v1.redrive\n", "{}", sent.err);
    until("all is taken", || sum(&risk_status(&folder), "accounts.v1.redrive", "processed") == 3);
    let again = folder.run(&IMPORT);
    assert!(
        again.out.contains("0 repaired records") && again.out.contains("3 were sent back before"),
        "{}",
        again.out
    );
    let redriven = folder.run(&["dlq", "redrive", "accounts.v1", "--dry-run", "--json"]);
    assert!(redriven.out.contains("\"records\":0"), "{}", redriven.out);
    let audit = folder.run(&["tail", "journal.redrive.v1", "--json"]);
    assert!(audit.out.contains("\"kind\":\"import\"") && audit.out.contains("by hand"), "{}", audit.out);
    let back = folder.run(&["tail", "accounts.v1.redrive", "--json"]);
    assert!(
        back.out.lines().all(|line| line.contains("\"key\":\"P1\"")),
        "the key is the event's: {}",
        back.out
    );
    assert!(exported(&folder).is_empty());
    assert_eq!(up.interrupt(&folder), Some(0));
    let replay = folder.run(&["replay", "--verify", "--worker", "risk"]);
    assert_eq!(replay.code, 0, "{}{}", replay.out, replay.err);
}

/// Under `hold_key` the second and third wait for the first of their key: they are not sent without it.
#[test]
fn what_is_held_behind_a_letter_is_sent_with_it_or_nothing_is() {
    let (folder, up) = letters(Folder::new().with("TAPEWATCH_DEAD_LETTERS__ON_DEAD_LETTER", "hold_key"));
    let lines = exported(&folder);
    let held: Vec<&Value> = lines.iter().filter(|line| line["key"] == "P1").collect();
    assert_eq!(held.len(), 2, "{lines:?}");
    file(
        &folder,
        &[held[1].clone(), lines.iter().find(|line| line["key"] == "P9").expect("it is there").clone()],
    );
    let refused = folder.run(&IMPORT);
    assert_eq!((refused.code, &*refused.out), (5, ""), "{}", refused.err);
    assert!(refused.err.contains("1 line of repaired.jsonl is held behind a letter"), "{}", refused.err);
    assert_eq!(exported(&folder).len(), 3, "nothing was sent");
    file(&folder, &lines);
    let sent = folder.run(&IMPORT);
    assert_eq!(sent.out, "3 repaired records sent to accounts.v1.redrive\n", "{}", sent.err);
    assert_eq!(up.interrupt(&folder), Some(0));
}

#[test]
fn bytes_go_as_they_are_given_and_lines_that_are_none_are_named() {
    let (folder, up) = with_letters();
    let mut lines = exported(&folder);
    // Untouched, what can be read goes with its own bytes and the key of its event; junk goes as junk.
    lines.swap(0, 2);
    file(&folder, &lines[..2]);
    let sent = folder.run(&IMPORT);
    assert_eq!(sent.out, "2 repaired records sent to accounts.v1.redrive\n", "{}", sent.err);
    until("one is taken", || {
        let status = risk_status(&folder);
        sum(&status, "accounts.v1.redrive", "processed") == 1
            && sum(&status, "accounts.v1.redrive", "dead") == 1
    });
    folder.write(
        "repaired.jsonl",
        "[1]\n{\"topic\":\"acounts.v1\"}\n{\"topic\":\"accounts.v1\",\"partition\":0,\"letter\":0}\n",
    );
    let wrong = folder.run(&IMPORT);
    assert_eq!(wrong.code, 5);
    for wanted in
        [":1: not a JSON object", ":2: `partition`", ":2: `letter`", ":2: `topic`", ":3: `value` is missing"]
    {
        assert!(wrong.err.contains(wanted), "{wanted} in {}", wrong.err);
    }
    assert_eq!(up.interrupt(&folder), Some(0));
}

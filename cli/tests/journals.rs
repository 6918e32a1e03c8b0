//! `journal export|checkpoint|key` and `verify-journal`: what was done to an export is named.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use run::Folder;
use serde_json::{Value, json};

/// A demo's journals in `journals.jsonl`, signed by `mine.key`. Gives the public key, too.
fn exported() -> (Folder, String) {
    let folder = Folder::new();
    let done = folder.run(&["demo", "--bars", "300", "--no-incidents", "--json", "--dir", "log"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let url = format!("sqlite:{}", folder.path("log/tape.db").display());
    let folder = folder.with("TAPEWATCH_LOG", &url);
    let public = ok(&folder, &["journal", "key", "mine.key"]).trim().to_owned();
    ok(&folder, &["journal", "export", "journals.jsonl"]);
    ok(&folder, &["journal", "checkpoint", "--key", "mine.key", "journals.jsonl"]);
    (folder, public)
}

fn ok(folder: &Folder, args: &[&str]) -> String {
    let done = folder.run(args);
    assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
    done.out
}

/// The lines of the export.
fn lines(folder: &Folder) -> Vec<Value> {
    let text = fs::read_to_string(folder.path("journals.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(folder: &Folder, name: &str, lines: &[Value]) {
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    folder.write(name, &(lines.join("\n") + "\n"));
}

/// Where a journal record stands among the lines.
fn place(lines: &[Value], worker: &str, partition: i32, sequence: i64) -> usize {
    let is = |line: &Value| {
        line["worker"] == worker && line["partition"] == partition && line["sequence"] == sequence
    };
    lines.iter().position(is).unwrap()
}

/// What is found once the export was tampered with: kind, worker, partition, first, last of each finding.
fn found(tamper: impl FnOnce(&mut Vec<Value>)) -> Vec<Value> {
    let (folder, public) = exported();
    let mut lines = lines(&folder);
    tamper(&mut lines);
    write(&folder, "tampered.jsonl", &lines);
    let done = folder.run(&["verify-journal", "tampered.jsonl", "--key", &public, "--json"]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    // Nothing is needed but the file.
    fs::remove_dir_all(folder.path("log")).unwrap();
    assert_eq!(folder.run(&["verify-journal", "tampered.jsonl", "--key", &public, "--json"]).out, done.out);
    let all = done.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let findings = all.filter_map(|mut line| line.get_mut("finding").map(Value::take));
    findings
        .map(|one| json!([one["kind"], one["worker"], one["partition"], one["first"], one["last"]]))
        .collect()
}

fn digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap()
}

/// The sequence number of the last record of a journal.
fn last(lines: &[Value], worker: &str, partition: i32) -> i64 {
    let of = |line: &&Value| line["worker"] == worker && line["partition"] == partition;
    lines.iter().filter(of).filter_map(|line| line["sequence"].as_i64()).max().unwrap()
}

#[test]
fn a_whole_export_is_whole_and_so_is_the_log_itself() {
    let (folder, public) = exported();
    let told = ok(&folder, &["verify-journal", "journals.jsonl", "--key", &public]);
    assert!(told.contains("risk/0: ") && told.contains("; signed up to "), "{told}");
    ok(&folder, &["verify-journal", "journals.jsonl", "--key", "mine.key"]);
    let unnamed = ok(&folder, &["verify-journal", "journals.jsonl"]);
    assert!(unnamed.contains(&format!("signed by {public}: if that is your key")), "{unnamed}");

    let bytes = || fs::read(folder.path("log/tape.db")).unwrap();
    let before = bytes();
    let url = format!("sqlite:{}", folder.path("log/tape.db").display());
    let kept = ok(&folder, &["journal", "checkpoint", "--key", "mine.key"]);
    folder.write("kept.jsonl", &kept);
    ok(&folder, &["verify-journal", &url, "--checkpoints", "kept.jsonl", "--key", &public]);
    let bare = folder.run(&["verify-journal", &url, "--key", &public]);
    assert_eq!(bare.code, 7, "{}", bare.out);
    assert!(bare.out.contains("no checkpoint of the key covers alerting/0, "), "{}", bare.out);
    assert!(bytes() == before, "the log was written to");
}

#[test]
fn a_part_can_be_exported_and_checked_against_the_checkpoint_of_all() {
    let (folder, public) = exported();
    let kept = ok(&folder, &["journal", "checkpoint", "--key", "mine.key"]);
    folder.write("kept.jsonl", &kept);
    ok(&folder, &["journal", "export", "--worker", "risk", "--partition", "1", "part.jsonl"]);
    let part = ["verify-journal", "part.jsonl", "--checkpoints", "kept.jsonl", "--key", &public];
    let all = folder.run(&part);
    assert_eq!(all.code, 7, "the others were not checked, and nobody cut them off: {}", all.out);
    assert!(all.out.contains("not checked: alerting/0, ") && all.out.contains("risk/0"), "{}", all.out);
    assert!(!all.out.contains("cut off") && all.out.contains("risk/1: "), "{}", all.out);
    // What it says that it holds, and does not, is missing all the same.
    let text = fs::read_to_string(folder.path("part.jsonl")).unwrap();
    folder.write("cut.jsonl", text.lines().next().unwrap());
    let cut = folder.run(&["verify-journal", "cut.jsonl", "--checkpoints", "kept.jsonl"]);
    assert!(cut.code == 1 && cut.out.contains("risk/1 sequence 0 to "), "{}", cut.out);
    ok(&folder, &[&part[..], &["--worker", "risk", "--partition", "1"]].concat());
}

#[test]
fn an_export_is_checked_from_a_pipe_as_from_a_file() {
    let (folder, public) = exported();
    let whole = ok(&folder, &["verify-journal", "journals.jsonl", "--key", &public]);
    let text = fs::read_to_string(folder.path("journals.jsonl")).unwrap();
    for name in ["-", "/dev/stdin"] {
        let piped = folder.run_with_input(&["verify-journal", name, "--key", &public], &text);
        assert_eq!((piped.code, &piped.out), (0, &whole), "{name}: {}", piped.err);
    }
}

#[test]
fn an_export_of_what_is_not_there_leaves_no_file() {
    let (folder, _) = exported();
    let wrong = folder.run(&["journal", "export", "--partition", "77", "some.jsonl"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert!(!folder.path("some.jsonl").exists());
    ok(&folder, &["journal", "export", "--partition", "0", "some.jsonl"]);
}

#[test]
fn what_was_removed_is_named() {
    let findings = found(|lines| {
        let (from, to) = (place(lines, "risk", 1, 2), place(lines, "risk", 1, 3));
        lines.drain(from..=to);
    });
    assert_eq!(findings, [json!(["removed", "risk", 1, 2, 3])]);
    let findings = found(|lines| drop(lines.remove(place(lines, "alerting", 0, 0))));
    assert_eq!(findings, [json!(["removed", "alerting", 0, 0, 0])]);
}

#[test]
fn what_was_changed_is_named() {
    let findings = found(|lines| {
        let at = place(lines, "risk", 0, 2);
        let hex = lines[at]["record"].as_str().unwrap().to_owned();
        let (before, after) = hex.split_at(40);
        let flipped = if after.starts_with('0') { '1' } else { '0' };
        lines[at]["record"] = json!(format!("{before}{flipped}{}", &after[1..]));
    });
    assert_eq!(findings, [json!(["changed", "risk", 0, 2, 2])]);
}

#[test]
fn what_was_written_anew_with_a_hash_of_its_own_is_named() {
    use tapewatch_schemas::journal::JournalRecord;
    let bytes = |line: &Value| -> Vec<u8> {
        let hex = line["record"].as_str().unwrap();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let hex =
        |bytes: &[u8]| bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect::<String>();
    // One record: the next no longer follows it.
    let findings = found(|lines| {
        let at = place(lines, "risk", 0, 2);
        let mut record = JournalRecord::open(&bytes(&lines[at])).unwrap();
        record.instance = "somebody else".into();
        lines[at]["record"] = json!(hex(&record.seal()));
    });
    assert_eq!(findings, [json!(["changed", "risk", 0, 2, 2])]);
    // The whole chain from there on: only the checkpoint knows.
    let mut end = 0;
    let findings = found(|lines| {
        end = last(lines, "risk", 0);
        let mut previous = None;
        for sequence in 2..=end {
            let at = place(lines, "risk", 0, sequence);
            let mut record = JournalRecord::open(&bytes(&lines[at])).unwrap();
            record.instance = "somebody else".into();
            record.previous = previous.unwrap_or(record.previous);
            lines[at]["record"] = json!(hex(&record.seal()));
            previous = Some(record.hash);
        }
    });
    assert_eq!(findings, [json!(["changed", "risk", 0, end, end])]);
}

#[test]
fn what_was_reordered_or_doubled_is_named() {
    let findings = found(|lines| {
        let (one, other) = (place(lines, "risk", 1, 2), place(lines, "risk", 1, 3));
        lines.swap(one, other);
    });
    assert_eq!(findings, [json!(["reordered", "risk", 1, 2, 2])]);
    let findings = found(|lines| {
        let at = place(lines, "risk", 1, 2);
        lines.insert(at + 2, lines[at].clone());
    });
    assert_eq!(findings, [json!(["doubled", "risk", 1, 2, 2])]);
}

#[test]
fn what_was_cut_off_at_the_end_is_named() {
    let mut end = 0;
    let findings = found(|lines| {
        end = last(lines, "risk", 2);
        let (from, to) = (place(lines, "risk", 2, end - 1), place(lines, "risk", 2, end));
        lines.drain(from..=to);
    });
    assert_eq!(findings, [json!(["cut_off", "risk", 2, end - 1, end])]);
    // A whole journal.
    let findings = found(|lines| {
        end = last(lines, "alerting", 1);
        lines.retain(|line| !(line["worker"] == "alerting" && line["partition"] == 1));
    });
    assert_eq!(findings, [json!(["cut_off", "alerting", 1, 0, end])]);
}

/// It is one thing: what the key signed is not there any more. That no checkpoint covers it would be another.
#[test]
fn what_was_cut_off_is_not_called_unsigned() {
    let (folder, public) = exported();
    let mut lines = lines(&folder);
    let end = last(&lines, "risk", 2);
    lines.remove(place(&lines, "risk", 2, end));
    write(&folder, "cut.jsonl", &lines);
    let done = folder.run(&["verify-journal", "cut.jsonl", "--key", &public]);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    let of = |start: &str| done.out.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    let [journal] = of("risk/2: ")[..] else { panic!("{}", done.out) };
    assert!(journal.contains(&format!("; not what was signed up to {end} at ")), "{journal}");
    let [wrong] = of("wrong: ")[..] else { panic!("{}", done.out) };
    assert!(wrong.contains(&format!("risk/2 sequence {end}: cut off: ")), "{wrong}");
    assert!(!done.out.contains("not verifiable") && !done.out.contains("no checkpoint"), "{}", done.out);

    let json = folder.run(&["verify-journal", "cut.jsonl", "--key", &public, "--json"]).out;
    let journals = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let cut = journals.filter_map(|mut line| line.get_mut("journal").map(Value::take));
    let [cut] = &cut.filter(|one| one["worker"] == "risk" && one["partition"] == 2).collect::<Vec<_>>()[..]
    else {
        panic!("{json}")
    };
    assert_eq!(
        (&cut["covered"], &cut["signed"], &cut["named"][0]),
        (&json!(true), &Value::Null, &json!(end))
    );
}

#[test]
fn a_file_that_ends_within_a_line_says_so() {
    let (folder, public) = exported();
    let text = fs::read_to_string(folder.path("journals.jsonl")).unwrap();
    folder.write("half.jsonl", &text[..text.len() - 40]);
    let done = folder.run(&["verify-journal", "half.jsonl", "--key", &public]);
    assert_eq!((done.code, &*done.out), (5, ""), "{}", done.err);
    let lines = text.lines().count();
    assert!(
        done.err.contains(&format!("half.jsonl: the file ends within line {lines}: it was cut off")),
        "{}",
        done.err
    );
}

#[test]
fn a_forged_checkpoint_and_another_key_are_named() {
    let mut end = 0;
    let findings = found(|lines| {
        // Cut off, and the checkpoint made to fit.
        end = last(lines, "risk", 0);
        lines.remove(place(lines, "risk", 0, end));
        let signed = lines.iter().position(|line| line["checkpoint"]["worker"] == "risk").unwrap();
        lines[signed]["checkpoint"]["heads"][0]["sequence"] = json!(end - 1);
    });
    assert_eq!(findings, [json!(["not_signed", "risk", null, null, null])]);

    let (folder, _) = exported();
    let other = ok(&folder, &["journal", "key", "other.key"]);
    let wrong = folder.run(&["verify-journal", "journals.jsonl", "--key", other.trim()]);
    assert_eq!(wrong.code, 1, "{}", wrong.out);
    assert!(wrong.out.contains(": not signed: ") && wrong.out.contains("not the key that was named"));
}

#[test]
fn keys_are_kept_from_others_and_never_overwritten() {
    let (folder, _) = exported();
    let mode = |name: &str| fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("mine.key"), 0o600);
    let again = folder.run(&["journal", "key", "mine.key"]);
    assert_eq!(again.code, 5, "{}", again.err);
    fs::set_permissions(folder.path("mine.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = folder.run(&["journal", "checkpoint", "--key", "mine.key"]);
    assert_eq!((open.code, &*open.out), (5, ""));
    assert!(open.err.contains("chmod 600 mine.key"), "{}", open.err);
}

#[test]
fn what_is_no_export_is_bad_input_and_what_is_not_whole_is_not_signed() {
    let (folder, public) = exported();
    for (name, text) in [("none.jsonl", None), ("notes.txt", Some("these are notes\n")), ("empty", Some(""))]
    {
        if let Some(text) = text {
            folder.write(name, text);
        }
        let done = folder.run(&["verify-journal", name, "--key", &public]);
        assert_eq!(done.code, 5, "{name}: {}", done.err);
        assert!(done.err.contains(name), "{}", done.err);
    }
    let mut lines = lines(&folder);
    lines.remove(place(&lines, "risk", 0, 1));
    lines.retain(|line| line["checkpoint"].is_null());
    write(&folder, "holed.jsonl", &lines);
    let before = fs::read(folder.path("holed.jsonl")).unwrap();
    let done = folder.run(&["journal", "checkpoint", "--key", "mine.key", "holed.jsonl"]);
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains("nothing was signed: risk/0 sequence 1: removed"), "{}", done.err);
    assert_eq!(fs::read(folder.path("holed.jsonl")).unwrap(), before);
}

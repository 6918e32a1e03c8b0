//! `produce` and `tail`: JSON lines in, checked, all or nothing; and out again.

mod run;

use std::io::{Read, Write};
use std::process::Stdio;

use run::Folder;
use tapewatch_schemas::partition::Partitioner;

fn account(portfolio: &str, sequence: u32, cash: &str) -> String {
    format!(
        "{{\"source\":\"me\",\"sequence\":{sequence},\"event_time\":\"2026-05-02T12:00:00Z\",\
         \"portfolio\":\"{portfolio}\",\"currency\":\"USD\",\"cash\":\"{cash}\",\"equity\":\"{cash}\",\
         \"deposits\":\"0\",\"withdrawals\":\"0\"}}\n"
    )
}

fn with_topics() -> Folder {
    let folder = Folder::new();
    assert_eq!(folder.run(&["topics", "create", "--partitions", "4"]).code, 0);
    folder
}

fn tail(folder: &Folder, more: &[&str]) -> Vec<serde_json::Value> {
    let done = folder.run(&[&["tail", "accounts.v1", "--json"], more].concat());
    assert_eq!(done.code, 0, "{}", done.err);
    done.out.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[test]
fn good_lines_are_written_under_their_keys_and_read_back() {
    let folder = with_topics();
    let lines: String = (0..20).map(|i| account(&format!("P{i}"), i, "1000.5")).collect();
    folder.write("accounts.jsonl", &lines);
    let done = folder.run(&["produce", "accounts.v1", "accounts.jsonl"]);
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert_eq!(done.out, "20 records written to accounts.v1 in 1 transaction\n");
    let back = tail(&folder, &["-n", "100"]);
    assert_eq!(back.len(), 20);
    for record in &back {
        assert_eq!(record["key"], record["value"]["portfolio"]);
        assert_eq!(record["value"]["cash"], "1000.5");
        assert_eq!(record["value"]["event_time"], "2026-05-02T12:00:00Z");
        let key = record["key"].as_str().expect("a key is text");
        assert_eq!(record["partition"], Partitioner::Murmur2.assign(key.as_bytes(), 4));
    }
}

#[test]
fn every_error_is_listed_and_nothing_is_written() {
    let folder = with_topics();
    let good = account("P1", 0, "1");
    let lines = format!(
        "{good}\n{{\"portfolio\": 5}}\nnot json\n{}{}{}{}",
        account("a:b", 1, "1"),
        account("P1", 2, "1.0000000000001"),
        account("c:d", 3, "1").replace("2026-", "2999-"),
        account("e:f", 4, "one").replace("2026-", "2999-"),
    );
    folder.write("a.jsonl", &lines);
    let done = folder.run(&["produce", "accounts.v1", "a.jsonl"]);
    assert_eq!(done.code, 5);
    for wanted in [
        "a.jsonl:3: `portfolio`: ",
        "a.jsonl:3: `cash`: ",
        "a.jsonl:4: ",
        "a.jsonl:5: portfolio `a:b`",
        "a.jsonl:6: `cash`: ",
        "a.jsonl:7: portfolio `c:d`",
        "a.jsonl:7: the event's time 2999-05-02",
        "a.jsonl:8: `cash`: ",
        "a.jsonl:8: portfolio `e:f`",
        "a.jsonl:8: the event's time 2999-05-02",
    ] {
        assert!(done.err.contains(wanted), "{wanted} in {}", done.err);
    }
    assert!(
        done.err.contains("error: 6 of 7 lines of a.jsonl are wrong, and nothing was written"),
        "{}",
        done.err
    );
    assert!(tail(&folder, &[]).is_empty());
    let done = folder.run(&["produce", "accounts.v1", "a.jsonl", "--skip-bad", "--json"]);
    assert_eq!(done.code, 0);
    assert_eq!(done.out, "{\"topic\":\"accounts.v1\",\"written\":1,\"left_out\":6,\"transactions\":1}\n");
    assert_eq!(tail(&folder, &[]).len(), 1);
}

#[test]
fn standard_input_is_read_by_default_and_many_lines_take_several_transactions() {
    let folder = with_topics();
    let lines: String = (0..12_000).map(|i| account("P1", i, "1")).collect();
    let done = folder.run_with_input(&["produce", "accounts.v1"], &lines);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.starts_with("12000 records written to accounts.v1 in 3 transactions"), "{}", done.out);
    let last = tail(&folder, &["-n", "2"]);
    assert_eq!(last[1]["value"]["sequence"], 11_999);
    assert_eq!(tail(&folder, &["-n", "12000"]).len(), 12_000);
}

#[test]
fn a_missing_file_and_a_folder_are_bad_input() {
    let folder = with_topics();
    for file in ["absent.jsonl", "."] {
        let done = folder.run(&["produce", "accounts.v1", file]);
        assert_eq!(done.code, 5);
        assert!(done.err.starts_with(&format!("error: {file} cannot be read: ")), "{}", done.err);
    }
}

#[test]
fn a_wrong_topic_gets_the_nearest_name() {
    let folder = with_topics();
    let done = folder.run(&["produce", "account.v1"]);
    assert_eq!(done.code, 5);
    assert!(done.err.contains("Did you mean accounts.v1?"), "{}", done.err);
    let done = folder.run(&["tail", "alert"]);
    assert_eq!(done.code, 5);
    assert!(done.err.contains("Did you mean alerts.v1?"), "{}", done.err);
    let done = folder.run(&["produce", "alerts.v1"]);
    assert_eq!(done.code, 5);
    assert!(done.err.contains("written by tapewatch alone"), "{}", done.err);
}

#[test]
fn a_topic_that_is_not_on_the_log_is_named_with_what_to_do() {
    let folder = with_topics();
    let done = folder.run(&["tail", "consistency.v1"]);
    assert_eq!(done.code, 8);
    // Creating topics would not make it.
    let why = "the topic consistency.v1 is not on sqlite:tapewatch.db, and no program of this release reads or writes it";
    assert!(done.err.contains(why), "{}", done.err);
}

#[test]
fn from_an_offset_or_a_time_reads_forward() {
    let folder = with_topics();
    let lines: String = (0..10).map(|i| account("P1", i, "1")).collect();
    folder.run_with_input(&["produce", "accounts.v1"], &lines);
    let sequences = |more: &[&str]| -> Vec<u64> {
        tail(&folder, more).iter().filter_map(|record| record["value"]["sequence"].as_u64()).collect()
    };
    assert_eq!(sequences(&["--from", "7"]), [7, 8, 9]);
    assert_eq!(sequences(&["--from", "3", "-n", "2"]), [3, 4]);
    assert_eq!(sequences(&["--from", "2020-01-01T00:00:00Z"]).len(), 10);
    assert!(sequences(&["--from", "2999-01-01T00:00:00Z"]).is_empty());
    assert_eq!(folder.run(&["tail", "accounts.v1", "--from", "noon"]).code, 2);
    assert_eq!(folder.run(&["tail", "accounts.v1", "--partition", "9"]).code, 5);
}

#[test]
fn follow_sees_what_comes_and_ends_cleanly_on_ctrl_c() {
    let folder = with_topics();
    folder.run_with_input(&["produce", "accounts.v1"], &account("P1", 0, "1"));
    let mut child = folder
        .command(env!("CARGO_BIN_EXE_tapewatch"))
        .args(["tail", "accounts.v1", "--json", "--follow"])
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut out = child.stdout.take().expect("it is piped");
    let mut line = |wanted: &str| {
        let mut text = Vec::new();
        let mut byte = [0];
        while text.last() != Some(&b'\n') {
            out.read_exact(&mut byte).expect("a line comes");
            text.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains(wanted), "{wanted} in {text}");
    };
    line("\"sequence\":0");
    folder.run_with_input(&["produce", "accounts.v1"], &account("P2", 1, "1"));
    line("\"sequence\":1");
    assert_eq!(folder.shell(&format!("kill -INT {}", child.id())).code, 0);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_full_disk_has_its_own_exit_code_and_leaves_nothing_half_written() {
    let folder = with_topics();
    let lines: String = (0..5_000).map(|i| account(&format!("P{i}"), i, "1")).collect();
    folder.write("a.jsonl", &lines);
    let done = folder.shell("ulimit -f 300; \"$TAPEWATCH\" produce accounts.v1 a.jsonl");
    assert_eq!(done.code, 6, "{} {}", done.out, done.err);
    assert!(done.err.contains("temporary file") && done.err.contains("TMPDIR"), "{}", done.err);
    assert!(tail(&folder, &["--from", "0"]).is_empty());
}

/// Runs `produce` with a spool, and has another program hold the log's file from the moment that it was opened and
/// lines are read, so that nothing can be written.
fn produce_while_held(folder: &Folder, lines: &str) -> (i32, String) {
    let mut command = folder.command(env!("CARGO_BIN_EXE_tapewatch"));
    command.args(["produce", "accounts.v1", "--spool", "waiting"]).stdin(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // More than a pipe holds: once it is written, it is being read.
    input.write_all(lines.as_bytes()).expect("it reads");
    let holder = rusqlite::Connection::open(folder.path("tapewatch.db")).expect("the log's file");
    holder.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    drop(input);
    let done = child.wait_with_output().expect("it ends");
    (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn while_the_log_is_away_the_spool_takes_records_and_refuses_at_its_bound() {
    let folder = with_topics();
    let settings = "[log]\nurl = \"sqlite:tapewatch.db\"\n[producer.spool]\nmax_bytes = \"1MiB\"\n\
                    [producer.spool.breaker]\nslow_call = \"100ms\"\nwait = \"100ms\"\n";
    folder.write("tapewatch.toml", settings);
    let few: String = (0..20).map(|i| account(&format!("P{i}"), i, "1")).collect();
    let many: String = (20..12_020).map(|i| account("P1", i, "1")).collect();
    let (code, said) = produce_while_held(&folder, &many);
    assert_eq!(code, 6, "{said}");
    for part in [
        "records go into the spool waiting/produce.spool for now: ",
        "writing to accounts.v1, 5000 of 12000 records are taken (up to line 5000): the spool",
        "is at its bound: 5000 records wait in it for sqlite:tapewatch.db",
        "5000 more were refused",
    ] {
        assert!(said.contains(part), "{part} in: {said}");
    }
    let done = folder.run_with_input(&["produce", "accounts.v1", "--spool", "waiting"], &few);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("5000 records of an earlier run wait in the spool"), "{}", done.err);
    assert!(done.out.contains("20 records written to accounts.v1"), "{}", done.out);
    let back = tail(&folder, &["-n", "20000"]);
    assert_eq!(back.len(), 5_020);
    let of_one = back.iter().filter(|record| record["key"] == "P1");
    let found: Vec<_> =
        of_one.map(|record| record["value"]["sequence"].as_u64().expect("a number")).collect();
    let wanted: Vec<u64> = (20..5_020).chain([1]).collect();
    assert!(found == wanted, "what waited goes first, in order");
}

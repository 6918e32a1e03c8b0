//! A halt under `tapewatch up`: a drawdown raises it, it outlives kill -9 and starts, and a named person ends it.

#![allow(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod run;

use bytes::Bytes;
use run::Folder;
use run::up::{Up, until};
use serde_json::{Value, json};
use tapewatch_eventlog::{OpenOptions, OutRecord, Round, TopicPartition, open};
use tapewatch_schemas::Time;

fn folder() -> Folder {
    let folder =
        Folder::new().with("TAPEWATCH_TOPICS__PARTITIONS", "2").with("TAPEWATCH_CONFIG", "desk.toml");
    let people = "{ name = \"ada\", roles = [\"risk_officer\"] }, { name = \"bob\", roles = [] }";
    folder.write("desk.toml", &format!("[alerting.control]\npeople = [{people}]\n"));
    let made = folder.run(&["topics", "create"]);
    assert_eq!(made.code, 0, "{}", made.err);
    folder
}

fn equity(folder: &Folder, sequence: i64, equity: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let account = json!({
        "source": "oms", "sequence": sequence, "event_time": Time(now.as_micros() as i64), "portfolio": "P0",
        "currency": "USD", "cash": equity, "equity": equity, "deposits": "0", "withdrawals": "0",
    });
    let done = folder.run_with_input(&["produce", "accounts.v1"], &format!("{account}\n"));
    assert_eq!(done.code, 0, "{}", done.err);
}

/// What is in force for P0.
fn in_force(folder: &Folder) -> Option<Value> {
    let done = folder.run(&["halt", "list", "--json"]);
    assert_eq!(done.code, 0, "{}", done.err);
    done.out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|halt: &Value| halt["scope"] == "P0")
}

fn resume(folder: &Folder, who: &str, more: &[&str]) -> (i32, String) {
    let arguments = ["halt", "resume", "P0", "--who", who, "--why", "looked at"];
    let done = folder.run(&[&arguments[..], more].concat());
    (done.code, done.out + &done.err)
}

#[test]
fn a_drawdown_halts_until_a_person_with_the_role_resumes() {
    let folder = folder();
    let up = Up::ready(&folder);
    equity(&folder, 0, "100");
    equity(&folder, 1, "75");
    until("the halt", || in_force(&folder).is_some());
    let halt = in_force(&folder).unwrap();
    assert_eq!((&halt["level"], &halt["limit"]), (&json!("halt"), &json!("drawdown")));
    assert_eq!(halt["reason"], "limit drawdown: drawdown is 0.25, over 0.2");

    // kill -9, twice: it is still in force, under the same name.
    drop(up);
    drop(Up::ready(&folder));
    let up = Up::ready(&folder);
    assert_eq!(in_force(&folder).unwrap(), halt);

    for (who, why) in [("eve", "eve is not among the people"), ("bob", "bob has not the role risk_officer")] {
        let (code, said) = resume(&folder, who, &["--despite-breach"]);
        assert_eq!((code, said.contains(why), said.contains("halted, as before")), (1, true, true), "{said}");
    }
    let (code, said) = resume(&folder, "ada", &[]);
    assert!(code == 1 && said.contains("the limit drawdown still calls for halt"), "{said}");

    let id = halt["halt"].as_str().unwrap();
    let arguments = ["halt", "acknowledge", "P0", "--halt", id, "--who", "oms", "--why", "orders cancelled"];
    let done = folder.run(&arguments);
    assert!(done.code == 0 && done.out.contains("acknowledged by oms"), "{}{}", done.out, done.err);
    let (code, said) = resume(&folder, "ada", &["--despite-breach", "--halt", id]);
    assert!(code == 0 && said.starts_with("P0: trades since "), "{said}");
    assert_eq!(in_force(&folder), None);

    let arguments =
        ["halt", "raise", "desk:rates", "--who", "bob", "--why", "fat finger", "--level", "reduce-only"];
    let done = folder.run(&arguments);
    assert!(done.code == 0 && done.out.starts_with("desk:rates: may only reduce since "), "{}", done.err);
    let wrong = folder.run(&["halt", "raise", "floor:7", "--who", "bob", "--why", "x"]);
    assert!(wrong.code == 5 && wrong.err.contains("strategy:ID, desk:ID, firm:ID"), "{}", wrong.err);
    // Several at once: each is met.
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..6)
            .map(|n| {
                let folder = &folder;
                scope.spawn(move || {
                    let name = format!("strategy:s{n}");
                    folder.run(&["halt", "raise", &name, "--who", "bob", "--why", "all of them"])
                })
            })
            .collect();
        for done in asking.into_iter().map(|thread| thread.join().unwrap()) {
            assert_eq!(done.code, 0, "{}", done.err);
        }
    });
    // Requests that cannot be used keep no other from being read.
    let url = format!("sqlite:{}", folder.path("tapewatch.db").display());
    let log = open(&url, &OpenOptions::default()).unwrap();
    let bad = |partition| OutRecord {
        target: TopicPartition::new("control.requests.v1", partition),
        timestamp: None,
        key: Some(Bytes::from_static(b"P2")),
        value: Some(Bytes::from_static(b"no request")),
        headers: vec![],
    };
    let records = [0, 1].into_iter().flat_map(|partition| vec![bad(partition); 100]).collect();
    log.writer("bad gate").unwrap().commit(&Round { records, offsets: vec![] }, None).unwrap();
    for scope in ["P2", "P3", "P4", "P5"] {
        let done = folder.run(&["halt", "raise", scope, "--who", "bob", "--why", "all of them"]);
        assert_eq!(done.code, 0, "{}", done.err);
    }
    assert_eq!(up.interrupt(&folder), Some(0));

    // Nobody answers now, and the request is there all the same.
    let arguments = ["halt", "raise", "P1", "--who", "bob", "--why", "at night", "--wait", "0"];
    let late = folder.run(&arguments);
    assert!(late.code == 4 && late.err.contains("alerting has not answered"), "{}", late.err);
    let up = Up::ready(&folder);
    until("the request to be met", || folder.run(&["halt", "list"]).out.contains("P1: halted since "));
    assert_eq!(up.interrupt(&folder), Some(0));
    let replayed = folder.run(&["replay", "--verify"]);
    assert_eq!(replayed.code, 0, "{}", replayed.out);
    let status = folder.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.out);
}

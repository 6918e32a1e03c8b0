//! A halt under `tapewatch up`: a drawdown raises it, it outlives kill -9 and starts, and a named person ends it; and
//! what is traded all the same is told.

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

fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(since.as_micros() as i64)
}

fn equity(folder: &Folder, sequence: i64, equity: &str) {
    let account = json!({
        "source": "oms", "sequence": sequence, "event_time": now(), "portfolio": "P0",
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
    assert!(
        done.err.contains("warning: desk:rates is not among firm.scopes (there are none)"),
        "{}",
        done.err
    );
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

fn fill(folder: &Folder, number: i64, side: &str, quantity: &str) {
    let report = json!({
        "source": "oms", "sequence": number, "event_time": now(), "portfolio": "P0", "strategy": "s",
        "symbol": "BTC-USD", "order_id": format!("o{number}"), "execution_id": format!("e{number}"),
        "exec_type": "fill", "order_status": "filled", "side": side, "order_type": "limit",
        "order_quantity": quantity, "last_quantity": quantity, "last_price": "100", "cumulative_quantity": quantity,
        "leaves_quantity": "0", "currency": "USD", "liquidity": "taker",
    });
    let done = folder.run_with_input(&["produce", "exec.reports.v1"], &format!("{report}\n"));
    assert_eq!(done.code, 0, "{}", done.err);
}

/// Asks for a level of P0, and acknowledges it: the halt's id.
fn restrict(folder: &Folder, level: &str) -> String {
    let raise = ["halt", "raise", "P0", "--who", "bob", "--why", "fat finger", "--level", level];
    let done = folder.run(&raise);
    assert_eq!(done.code, 0, "{}", done.err);
    let halt = in_force(folder).unwrap()["halt"].as_str().unwrap().to_owned();
    let done = folder.run(&["halt", "acknowledge", "P0", "--halt", &halt, "--who", "oms", "--why", "heard"]);
    assert_eq!(done.code, 0, "{}", done.err);
    halt
}

/// What was said of trades that break a halt: whether it fires, the message.
fn broken(folder: &Folder) -> Vec<(bool, String)> {
    let done = folder.run(&["tail", "alerts.v1", "-n", "1000"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let alerts = done.out.lines().filter_map(|line| line.find('{').map(|at| &line[at..]));
    let alerts = alerts.map(|text| serde_json::from_str::<Value>(text).unwrap());
    let broken = alerts.filter(|alert| alert["rule"] == "halt_broken");
    broken.map(|a| (a["state"] == "firing", a["message"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn what_is_traded_all_the_same_is_told() {
    let folder = folder();
    let up = Up::ready(&folder);
    fill(&folder, 0, "buy", "3");
    until("the book", || folder.run(&["tail", "holdings.v1"]).out.contains("BTC-USD"));
    let reduced = restrict(&folder, "reduce-only");
    fill(&folder, 1, "sell", "2");
    fill(&folder, 2, "buy", "1");
    until("the purchase to be told", || !broken(&folder).is_empty());
    let told = broken(&folder);
    assert_eq!(told.len(), 1, "{told:?}");
    for words in ["P0: trading may only reduce", "BTC-USD was traded all the same, from 1 to 2", &reduced] {
        assert!(told[0].0 && told[0].1.contains(words), "{words}: {told:?}");
    }

    // kill -9: what is held, and since when it may not be, is known.
    drop(up);
    let up = Up::ready(&folder);
    let halted = restrict(&folder, "halt");
    drop(up);
    let up = Up::ready(&folder);
    fill(&folder, 3, "sell", "1");
    until("the sale to be told", || broken(&folder).len() == 2);
    let told = broken(&folder);
    for words in ["P0: trading is halted", "BTC-USD was traded all the same, from 2 to 1", &halted] {
        assert!(told[1].0 && told[1].1.contains(words), "{words}: {told:?}");
    }
    let (code, said) = resume(&folder, "ada", &[]);
    assert_eq!(code, 0, "{said}");
    until("it to be over", || broken(&folder).len() == 3);
    assert!(!broken(&folder)[2].0);
    fill(&folder, 4, "buy", "5");
    assert_eq!(up.interrupt(&folder), Some(0));
    let replayed = folder.run(&["replay", "--verify"]);
    assert_eq!(replayed.code, 0, "{}", replayed.out);
    assert_eq!(broken(&folder).len(), 3);
}

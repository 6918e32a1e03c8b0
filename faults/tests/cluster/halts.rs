//! A halt that a drawdown raised stands through kill -9 of whoever holds it, again and again, until a named person
//! with the role ends it.

use serde_json::{Value, json};
use tapewatch_schemas::Time;
use tapewatch_schemas::catalogue::{ALERTING, RISK};

use crate::stage::{Stage, injected, until};

const SETTINGS: [(&str, &str); 3] = [
    ("TAPEWATCH_RUNTIME__CLOCK", "wall"),
    ("TAPEWATCH_RUNTIME__HEARTBEAT_EVERY", "1s"),
    ("TAPEWATCH_ALERTING__CONTROL__PEOPLE", "[{ name = 'ada', roles = ['risk_officer'] }]"),
];
const KILLS: usize = 3;
const EVE: [&str; 7] = ["resume", "P0", "--who", "eve", "--why", "lunch", "--despite-breach"];

/// Says what P0 is worth.
fn worth(stage: &Stage, sequence: i64, equity: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let account = json!({
        "source": "oms", "sequence": sequence, "event_time": Time(now.as_micros() as i64), "portfolio": "P0",
        "currency": "USD", "cash": equity, "equity": equity, "deposits": "0", "withdrawals": "0",
    });
    let file = stage.path("account.jsonl");
    std::fs::write(&file, format!("{account}\n")).unwrap();
    let done = stage.tapewatch(&["produce", "accounts.v1", file.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What is in force for P0.
fn in_force(stage: &Stage) -> Option<Value> {
    let done = stage.tapewatch(&["halt", "list", "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).find(|halt: &Value| halt["scope"] == "P0")
}

/// Asks, and waits for the answer: the exit code, and what was answered.
fn ask(stage: &Stage, arguments: &[&str]) -> (Option<i32>, Value) {
    let done = stage.tapewatch(&[&["halt"], arguments, &["--json", "--wait", "60"]].concat());
    let answer = serde_json::from_slice(&done.stdout);
    let answer = answer.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr)));
    (done.status.code(), answer)
}

#[test]
fn a_halt_stands_through_kills_until_a_named_person_ends_it() {
    let Some(stage) = Stage::open_with("halts", &SETTINGS) else { return };
    let mut risk = stage.risk("one");
    let mut alerting = stage.worker(ALERTING, "one", stage.log.address());
    worth(&stage, 0, "100");
    worth(&stage, 1, "75");
    until("the halt", || {
        risk.lives();
        alerting.lives();
        in_force(&stage).is_some()
    });
    let halt = in_force(&stage).unwrap();
    assert_eq!((&halt["level"], &halt["limit"]), (&json!("halt"), &json!("drawdown")));

    for _ in 0..KILLS {
        alerting.kill();
        // While nobody holds it, one who may not asks for its end.
        let (asked, again) = std::thread::scope(|scope| {
            let asking = scope.spawn(|| ask(&stage, &EVE));
            let again = stage.worker(ALERTING, "one", stage.log.address());
            (asking.join().unwrap(), again)
        });
        alerting = again;
        assert_eq!(
            (asked.0, &asked.1["action"], &asked.1["level"]),
            (Some(1), &json!("refused"), &json!("halt"))
        );
        assert_eq!(asked.1["halt"], halt["halt"]);
    }
    let id = halt["halt"].as_str().unwrap();
    let (code, answer) =
        ask(&stage, &["acknowledge", "P0", "--halt", id, "--who", "oms", "--why", "cancelled"]);
    assert_eq!((code, &answer["acknowledged_by"]), (Some(0), &json!("oms")));
    let resume = ["resume", "P0", "--who", "ada", "--why", "looked at"];
    let (code, answer) = ask(&stage, &resume);
    assert_eq!((code, &answer["action"]), (Some(1), &json!("refused")), "the limit still calls: {answer}");
    let (code, answer) = ask(&stage, &[&resume[..], &["--despite-breach"]].concat());
    assert_eq!((code, &answer["level"]), (Some(0), &json!("normal")));
    alerting.kill();
    let mut alerting = stage.worker(ALERTING, "one", stage.log.address());
    stage.journals_of(ALERTING).all_go_on(&mut alerting);
    assert_eq!(in_force(&stage), None);

    injected(&format!(
        "{} kills of whoever holds a halt, {KILLS} requests of one who may not end it",
        KILLS + 1
    ));
    risk.stop();
    alerting.stop();
    stage.judge(&[RISK, ALERTING]);
}

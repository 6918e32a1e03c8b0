//! A broker that is stopped with SIGSTOP for longer than any session, and then goes on as if nothing had been.

use std::thread::sleep;

use tapewatch_schemas::catalogue::{RISK, journal_topic};

use crate::stage::brokers;
use crate::stage::{SESSION, Stage, everything, injected};

#[test]
fn a_broker_that_was_away_for_longer_than_a_session_does_no_harm_when_it_comes_back() {
    let Some(stage) = Stage::with_brokers("broker-paused") else { return };
    let (feeder, expected) = stage.load(400);
    let mut journals = stage.journals();
    let mut worker = stage.risk("survivor");
    let pause = SESSION * 3;
    let mut times = 0;
    for _ in 0..if everything() { 4 } else { 1 } {
        for role in ["leader", "coordinator"] {
            journals.all_go_on(&mut worker);
            let victim = match role {
                "leader" => brokers::leader(journal_topic(RISK).as_str(), 1),
                _ => brokers::coordinator("group", "tapewatch.risk"),
            };
            brokers::told(&["pause", &victim]);
            sleep(pause);
            brokers::told(&["continue", &victim]);
            journals.all_go_on(&mut worker);
            times += 1;
        }
    }
    injected(&format!("{times} brokers paused for {} s: leader, coordinator of the group", pause.as_secs()));
    stage.finish(feeder, &mut journals, worker, &expected);
}

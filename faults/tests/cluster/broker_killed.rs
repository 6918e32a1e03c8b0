//! kill -9 of the broker that matters most: who leads a journal, who coordinates transactions, who coordinates
//! the group.

use std::time::Instant;

use tapewatch_schemas::catalogue::{RISK, journal_topic};

use crate::stage::brokers;
use crate::stage::{Stage, everything, injected};

#[test]
fn a_worker_goes_on_when_the_broker_that_it_needs_most_is_killed() {
    let Some(stage) = Stage::with_brokers("broker-killed") else { return };
    let (feeder, expected) = stage.load(400);
    let mut journals = stage.journals();
    let mut worker = stage.risk("survivor");
    let transactions = format!("tapewatch.risk.{}.0", stage.instance("survivor"));
    let (mut kills, mut longest) = (0, 0);
    for _ in 0..if everything() { 4 } else { 1 } {
        for role in ["leader", "transaction coordinator", "group coordinator"] {
            journals.all_go_on(&mut worker);
            let victim = match role {
                "leader" => brokers::leader(journal_topic(RISK).as_str(), 0),
                "transaction coordinator" => brokers::coordinator("transaction", &transactions),
                _ => brokers::coordinator("group", "tapewatch.risk"),
            };
            brokers::told(&["kill", &victim]);
            let killed = Instant::now();
            journals.all_go_on(&mut worker);
            longest = longest.max(killed.elapsed().as_secs());
            brokers::told(&["start", &victim]);
            kills += 1;
        }
    }
    injected(&format!("{kills} brokers killed: leader, coordinators; {longest} s without a round at most"));
    stage.finish(feeder, &mut journals, worker, &expected);
}

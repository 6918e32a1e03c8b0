//! All brokers are stopped and started, one after another, under load: what an upgrade does.

use tapewatch_schemas::catalogue::{ALERTING, RISK};

use crate::stage::brokers;
use crate::stage::{Stage, everything, injected};

#[test]
fn workers_go_on_through_a_rolling_bounce() {
    let Some(stage) = Stage::with_brokers("rolling-bounce") else { return };
    // Alerting's heartbeats are steps of risk's, whenever they come: there is no undisturbed run to compare with.
    let (feeder, _) = stage.load(400);
    let mut journals = stage.journals();
    let mut risk = stage.risk("one");
    let mut alerting = stage.worker(ALERTING, "one", stage.log.address());
    let rounds = if everything() { 4 } else { 1 };
    for _ in 0..rounds {
        for broker in ["1", "2", "3"] {
            journals.all_go_on(&mut risk);
            brokers::told(&["stop", broker]);
            journals.all_go_on(&mut risk);
            brokers::told(&["start", broker]);
        }
    }
    injected(&format!("{rounds} rolling bounces of three brokers"));
    feeder.finish();
    for (name, worker) in [(RISK, &mut risk), (ALERTING, &mut alerting)] {
        stage.journals_of(name).see_the_end(worker);
    }
    risk.stop();
    alerting.stop();
    stage.judge(&[RISK, ALERTING]);
}

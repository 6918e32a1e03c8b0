//! A commit whose outcome is not known: the connection is cut around its last word, before or after the broker
//! has heard it. The journal decides; nothing is doubled, nothing is missing.

use crate::stage::process::Process;
use crate::stage::proxy::{Api, Moment, Proxy};
use crate::stage::{PATIENCE, Stage, everything, injected};

const DECIDED: &str = "an unknown outcome was decided";

/// Cuts every last word until the worker gives up and says that it does not know.
fn leave_in_doubt(proxy: &Proxy, worker: &mut Process, moment: Moment) {
    let before = worker.heard("a round was not acknowledged");
    let decided = worker.heard(DECIDED);
    proxy.cut(moment);
    worker.hear("a round was not acknowledged", before + 1);
    // A word that the client still holds might get through otherwise; a taken over id makes it void.
    worker.hear(DECIDED, decided + 1);
    proxy.mend();
}

#[test]
fn the_journal_decides_what_nobody_answered() {
    let Some(stage) = Stage::open("unknown-outcome") else { return };
    let (feeder, expected) = stage.load(400);
    let proxy = stage.proxy();
    let mut journals = stage.journals();
    let mut worker = stage.risk_behind(&proxy, "doubtful");
    let times = if everything() { 5 } else { 1 };
    for _ in 0..times {
        // A single cut, which the client gets over by itself.
        for moment in [Moment::Before(Api::EndTxn), Moment::After(Api::EndTxn)] {
            journals.all_go_on(&mut worker);
            proxy.catch(moment).wait(PATIENCE).expect("rounds go on").cut();
        }
        for (moment, written) in [(Moment::Before(Api::EndTxn), false), (Moment::After(Api::EndTxn), true)] {
            // Twice: the journal shows a round whose answer was cut before the worker knows of it, and its word,
            // said again, would be the one that is cut.
            journals.all_go_on(&mut worker);
            journals.all_go_on(&mut worker);
            leave_in_doubt(&proxy, &mut worker, moment);
            let said = worker.said();
            let last = said.lines().rfind(|line| line.contains(DECIDED)).expect("it was heard");
            assert!(last.contains(&format!("written={written}")), "{moment:?}: {last}");
        }
    }
    injected(&format!(
        "{} connections cut around EndTxn; {times} outcomes in doubt each way",
        2 * times + proxy.cuts()
    ));
    stage.finish(feeder, &mut journals, worker, &expected);
}

//! A torn transaction: all connections are cut when the positions are in it, before the word to commit, and stay
//! cut until the brokers have given it up.

use std::thread::sleep;
use std::time::Duration;

use crate::stage::proxy::{Api, Moment};
use crate::stage::{PATIENCE, Stage, everything, injected};

/// Longer than brokers keep a transaction open that nobody ends (10 s), and the time between two looks (1 s).
const AWAY: Duration = Duration::from_secs(12);

#[test]
fn a_transaction_torn_between_positions_and_commit_is_written_whole_later() {
    let Some(stage) = Stage::open("torn-transaction") else { return };
    let (feeder, expected) = stage.load(400);
    let proxy = stage.proxy();
    let mut journals = stage.journals();
    let mut worker = stage.risk_behind(&proxy, "torn");
    let times = if everything() { 4 } else { 1 };
    for away in [Duration::ZERO, AWAY].repeat(times) {
        journals.all_go_on(&mut worker);
        let held = proxy.catch(Moment::After(Api::TxnOffsetCommit)).wait(PATIENCE).expect("rounds go on");
        proxy.sever();
        held.cut();
        sleep(away);
        proxy.mend();
        journals.all_go_on(&mut worker);
    }
    injected(&format!("{} transactions torn, {times} of them until brokers had aborted them", 2 * times));
    stage.finish(feeder, &mut journals, worker, &expected);
}

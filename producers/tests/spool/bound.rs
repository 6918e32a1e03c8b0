//! At its bound, or on a full disk, the spool refuses and keeps what it has.

use std::sync::Arc;

use tapewatch_eventlog::faults::{Fault, FaultyLog, Op, Plan};
use tapewatch_eventlog::{Log, LogError, OpenOptions};
use tapewatch_producers::spool::{Courier, SpoolError, SpoolOptions, Taken};

use super::*;

/// A log that goes away at the next commit.
fn going(inner: &Arc<dyn Log>) -> (Arc<dyn Log>, Arc<Plan>) {
    let plan = Arc::new(Plan::quiet());
    plan.inject(Op::Commit, Fault::CrashBefore);
    (Arc::new(FaultyLog::new(Arc::clone(inner), Arc::clone(&plan))), plan)
}

/// Writes rounds until one is refused: its number, and why.
fn fill(courier: &mut Courier) -> (u64, SpoolError) {
    for number in 0..100_000 {
        match courier.write(&mut round(number), PATIENCE) {
            Ok(taken) => assert_eq!(taken, Taken::Spool),
            Err(error) => return (number, error),
        }
    }
    panic!("there is no bound");
}

#[test]
fn at_the_bound_it_refuses_and_drops_nothing() {
    let (inner, folder) = (log(), tempfile::tempdir().unwrap());
    let (log, plan) = going(&inner);
    let options = SpoolOptions { max_bytes: 20_000, ..options(folder.path()) };
    let mut courier = Courier::open(&log, &options, Arc::new(|_| {})).unwrap();
    let (taken, refused) = fill(&mut courier);
    assert!((40..75).contains(&taken), "{taken} rounds of about 290 B");
    let text = refused.to_string();
    let SpoolError::Bound { waiting, bytes, max_bytes: 20_000, refused: 4, .. } = refused else {
        panic!("{text}");
    };
    assert_eq!(waiting, taken * 4);
    assert!(bytes <= 20_000, "{bytes}");
    for part in [
        "p.spool is at its bound",
        "20000 B",
        "4 more were refused",
        "sqlite::memory:",
        "producer.spool.max_bytes",
    ] {
        assert!(text.contains(part), "{part} in: {text}");
    }
    let counts = courier.counts();
    assert_eq!((counts.waiting, counts.refused), (taken * 4, 4));
    // The same again is refused again, and taken when there is room.
    courier.write(&mut round(taken), PATIENCE).unwrap_err();
    plan.revive();
    drained(&courier);
    courier.write(&mut round(taken), PATIENCE).unwrap();
    drained(&courier);
    assert_eq!(values(&*inner), expected(0..=taken));
    assert_eq!(courier.counts().waiting_bytes, 0);
}

#[test]
fn on_a_full_disk_it_refuses_and_what_it_holds_comes_to_the_log() {
    let (inner, folder) = (log(), tempfile::tempdir().unwrap());
    let (log, plan) = going(&inner);
    let small = OpenOptions { max_pages: Some(60), ..OpenOptions::default() };
    let mut full = Courier::open_as(&log, &options(folder.path()), Arc::new(|_| {}), &small).unwrap();
    let (taken, refused) = fill(&mut full);
    assert!(taken > 20, "{taken}");
    assert!(matches!(refused.log_error(), Some(LogError::Full { .. })), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("p.spool took none of 4 records: no space left for sqlite:"), "{text}");
    assert_eq!(full.counts().waiting, taken * 4);
    drop(full);
    // There is space again, and the log is back.
    plan.revive();
    let courier = courier(&log, folder.path());
    drained(&courier);
    assert_eq!(values(&*inner), expected(0..taken));
}

#[test]
fn the_file_does_not_grow_with_what_went_through_it() {
    let (inner, folder) = (log(), tempfile::tempdir().unwrap());
    let plan = Arc::new(Plan::quiet());
    let log: Arc<dyn Log> = Arc::new(FaultyLog::new(Arc::clone(&inner), Arc::clone(&plan)));
    let mut sizes = Vec::new();
    for era in 0..4 {
        plan.inject(Op::Commit, Fault::CrashBefore);
        let mut courier = courier(&log, folder.path());
        for number in 0..500 {
            assert_eq!(courier.write(&mut round(era * 500 + number), PATIENCE).unwrap(), Taken::Spool);
        }
        plan.revive();
        drained(&courier);
        drop(courier);
        sizes.push(std::fs::metadata(folder.path().join("p.spool")).unwrap().len());
    }
    assert_eq!(values(&*inner), expected(0..2000));
    assert!(sizes[3] <= sizes[1] * 2, "{sizes:?}");
}

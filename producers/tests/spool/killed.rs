//! kill -9 of a producer whose log fails in every way, again and again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tapewatch_eventlog::faults::{FaultyLog, Plan, Rates};

use super::*;

/// The folder in which a child produces, and its run.
const CHILD: &str = "TAPEWATCH_TEST_SPOOL_CHILD";
/// Rounds of one run.
const RUN: u64 = 1_000_000;

/// A child that produces, started by this command.
fn child(mut by: Command, run: u64, folder: &Path) -> Producer {
    by.args(["killed::produces_as_a_child", "--exact", "--nocapture"]);
    by.env(CHILD, format!("{run} {}", folder.display()));
    Producer(by.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
}

/// The number of a round that a child says was taken.
fn number(line: &str) -> Option<u64> {
    line.rsplit_once("taken ").and_then(|(_, number)| number.parse().ok())
}

struct Producer(Child);

impl Drop for Producer {
    fn drop(&mut self) {
        // It has ended if it was killed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log_in(folder: &Path) -> Arc<dyn Log> {
    log_at(&format!("sqlite:{}", folder.join("log.db").display()))
}

/// What the child does: produces until it is killed, and says what was taken.
#[test]
fn produces_as_a_child() {
    let Ok(what) = std::env::var(CHILD) else { return };
    let (run, folder) = what.split_once(' ').unwrap();
    let (run, folder): (u64, _) = (run.parse().unwrap(), Path::new(folder));
    let rates = Rates { abort: 2000, unknown: 3000, error: 300, ..Rates::default() };
    let plan = Arc::new(Plan::seeded(run, rates));
    let log: Arc<dyn Log> = Arc::new(FaultyLog::new(log_in(folder), Arc::clone(&plan)));
    let mut courier = courier(&log, folder);
    for number in 0.. {
        // For some of the time, nothing gets through.
        let away = (number / 20) % 2 == run % 2;
        plan.set_rates(if away { Rates { abort: 10_000, ..rates } } else { rates });
        let mut out = std::io::stdout().lock();
        match courier.write(&mut round(run * RUN + number), PATIENCE) {
            Ok(_) => writeln!(out, "taken {}", run * RUN + number).unwrap(),
            Err(refused) => return writeln!(out, "refused: {refused}").unwrap(),
        }
        out.flush().unwrap();
    }
}

#[test]
fn a_producer_that_is_killed_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    log_in(folder.path());
    let mut taken = BTreeSet::new();
    for (run, until) in [3, 25, 31, 48, 7, 90, 22, 61].into_iter().enumerate() {
        let mut producer = child(Command::new(std::env::current_exe().unwrap()), run as u64, folder.path());
        let mut lines = BufReader::new(producer.0.stdout.take().unwrap()).lines();
        let mut said = 0;
        while said < until {
            let line = lines.next().expect("it goes on").unwrap();
            if let Some(number) = number(&line) {
                taken.insert(number);
                said += 1;
            }
        }
        // In the middle of whatever it and its courier are doing.
        producer.0.kill().unwrap();
        producer.0.wait().unwrap();
        taken.extend(lines.map_while(Result::ok).filter_map(|line| number(&line)));
    }
    let log = log_in(folder.path());
    let left = courier(&log, folder.path());
    drained(&left);
    let found = values_of(&*log, 0);
    let numbers: Vec<u64> =
        found.iter().map(|value| value.split('.').next().unwrap().parse().unwrap()).collect();
    let rounds: Vec<u64> = numbers.iter().copied().step_by(2).collect();
    assert!(rounds.is_sorted_by(|one, next| one < next), "nothing twice, nothing out of order");
    assert_eq!(values(&*log), expected(rounds.iter().copied()), "every round is whole");
    let there: BTreeSet<u64> = rounds.into_iter().collect();
    let lost: Vec<_> = taken.difference(&there).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(there.len() <= taken.len() + 8, "at most the one that each run was at beyond what it said");
}

#[test]
fn a_file_size_limit_refuses_the_round_and_keeps_the_others() {
    let folder = tempfile::tempdir().unwrap();
    log_in(folder.path());
    // The limit counts blocks of 512 B or 1 KiB, as the shell has it; its signal is ignored, so that the write
    // fails instead.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap());
    let producer = &mut child(limited, 0, folder.path()).0;
    let said: Vec<_> =
        BufReader::new(producer.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(producer.wait().unwrap().success(), "{said:?}");
    let taken: Vec<u64> = said.iter().filter_map(|line| number(line)).collect();
    let refused = said.iter().find_map(|line| line.split_once("refused: ")).expect("it has a limit").1;
    assert!(taken.len() > 10, "{taken:?}");
    assert!(refused.contains("p.spool took none of 4 records: no space left"), "{refused}");
    let log = log_in(folder.path());
    drained(&courier(&log, folder.path()));
    assert_eq!(values(&*log), expected(taken.into_iter()));
}

//! What must hold at the end, whatever went wrong before.

use std::collections::BTreeSet;

use tapewatch_consumers::audit::{Line, Subject, audit};
use tapewatch_faults::invariants::{Terms, Watched, check_all};
use tapewatch_schemas::Codec;
use tapewatch_schemas::catalogue::RISK;

use super::Stage;
use super::tape::{Outputs, outputs};

impl Stage {
    /// Every invariant, of these workers: law 1 by an independent count, every output once and only once, a clean
    /// replay, no partition behind an open transaction.
    pub(crate) fn judge(&self, workers: &[&str]) {
        self.judge_on(workers, &Terms::default());
    }

    /// As [`Stage::judge`], on other terms.
    pub(crate) fn judge_on(&self, workers: &[&str], terms: &Terms) {
        let told = self.violations(workers, terms);
        assert!(told.is_empty(), "{} violations:\n{}", told.len(), told.join("\n"));
    }

    /// As [`Stage::judge`], where strangers wrote so many records into topics of these workers' outputs: each is
    /// named, and nothing else is wrong.
    pub(crate) fn judge_beside_strangers(&self, workers: &[&str], strangers: usize) {
        let told = self.violations(workers, &Terms::default());
        let (named, others): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|violation| violation.contains("no worker wrote it"));
        assert!(others.is_empty(), "{} violations:\n{}", others.len(), others.join("\n"));
        assert_eq!(named.len(), strangers, "records of strangers:\n{}", named.join("\n"));
    }

    fn violations(&self, workers: &[&str], terms: &Terms) -> Vec<String> {
        let settings = self.loaded();
        let watched: Vec<Watched> =
            workers.iter().map(|name| Watched::of(name, &settings, &*self.log).unwrap()).collect();
        check_all(&self.log, &watched, terms).unwrap().iter().map(ToString::to_string).collect()
    }

    /// As [`Stage::judge`], of risk, which has nothing left to take; and what it wrote is to the byte what comes
    /// out undisturbed.
    pub(crate) fn judge_risk(&self, undisturbed: &Outputs) {
        self.judge_dead(RISK, 0);
        same(undisturbed, &outputs(&self.log));
    }

    /// As [`Stage::judge`], of a worker, which has nothing left to take; and so many records are dead letters.
    pub(crate) fn judge_dead(&self, worker: &str, dead: usize) {
        self.judge(&[worker]);
        let lines = self.audited(worker);
        let left: Vec<_> = lines.iter().filter(|line| line.lag > 0).collect();
        assert!(left.is_empty(), "not all was taken: {left:#?}");
        assert_eq!(lines.iter().map(|line| line.dead).sum::<i64>(), dead as i64, "dead letters");
    }

    /// What became of a worker's inputs, by an independent count.
    pub(crate) fn audited(&self, worker: &str) -> Vec<Line> {
        audit(&self.log, &Subject::of(worker), &mut |_| {}).unwrap().lines
    }
}

fn same(expected: &Outputs, found: &Outputs) {
    let codec = Codec::new(&[]).unwrap();
    let all: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for at in all {
        let (topic, task) = at;
        let of = |outputs: &Outputs| outputs.get(at).cloned().unwrap_or_default();
        let (expected, found) = (of(expected), of(found));
        let first = (0..expected.len().max(found.len())).find(|&at| expected.get(at) != found.get(at));
        if let Some(at) = first {
            let shown = |outputs: &[(Vec<u8>, Vec<u8>)]| {
                outputs.get(at).map(|(_, value)| codec.decode_any(value).map(|event| codec.to_json(&event)))
            };
            panic!(
                "{topic}: output {at} of task {task} is another ({} undisturbed, {} here):\n  {:?}\n  {:?}",
                expected.len(),
                found.len(),
                shown(&expected),
                shown(&found)
            );
        }
    }
}

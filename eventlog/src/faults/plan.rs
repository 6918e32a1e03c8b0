//! Which operation fails, and how.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`crate::Writer::commit`].
    Commit,
    /// [`crate::Writer::recover`].
    Recover,
    /// [`crate::Reader::poll`], a member's too.
    Poll,
    /// [`crate::Publisher::send`].
    Send,
    /// [`crate::Publisher::flush`].
    Flush,
}

/// How it fails. A fault that makes no sense for an operation does nothing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// (commit) Nothing was written; the same bytes may be sent again. (others) An error that passes.
    Abort,
    /// (commit) The outcome is unknown; nothing was written.
    UnknownNotWritten,
    /// (commit) The outcome is unknown; all of it was written.
    UnknownWritten,
    /// (commit) The outcome is unknown; it is written after all when `recover` begins, unless it is fenced
    /// by then.
    UnknownWrittenLate,
    /// (commit, recover) Fenced; nothing was written.
    Fenced,
    /// (commit, send) No space; nothing was written.
    Full,
    /// (poll) Nothing comes, though there may be something.
    Silence,
    /// The process dies before the operation. Everything fails until [`Plan::revive`], and what was opened
    /// before stays dead.
    CrashBefore,
    /// The process dies after the operation was done and before it was answered.
    CrashAfter,
}

/// A fault that was injected: the `nth` operation of its kind, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The operation.
    pub op: Op,
    /// Its number.
    pub nth: u64,
    /// What happened to it.
    pub fault: Fault,
}

/// How often each fault comes, in ten thousandths of the operations that it can meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// [`Fault::Abort`] of commits.
    pub abort: u32,
    /// The three unknown outcomes together, in equal parts.
    pub unknown: u32,
    /// [`Fault::Fenced`] of commits.
    pub fenced: u32,
    /// [`Fault::Abort`] of polls, sends, flushes and recoveries.
    pub error: u32,
    /// [`Fault::Silence`].
    pub silence: u32,
    /// Crashes, before and after in equal parts, of every operation.
    pub crash: u32,
}

/// Decides the fate of every operation, in the order in which they come. Shared by all handles.
#[derive(Debug)]
pub struct Plan {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: HashMap<(Op, u64), Fault>,
    pending: HashMap<Op, VecDeque<Fault>>,
    rates: Rates,
    random: u64,
    counts: HashMap<Op, u64>,
    injected: Vec<Injected>,
    crashed: bool,
    life: u64,
}

impl Plan {
    /// Nothing fails.
    pub fn quiet() -> Self {
        Self::of(State::default())
    }

    /// Fails the operations that the script names.
    pub fn scripted(script: impl IntoIterator<Item = Injected>) -> Self {
        let script = script.into_iter().map(|line| ((line.op, line.nth), line.fault)).collect();
        Self::of(State { script, ..State::default() })
    }

    /// Fails at random: the same seed and the same sequence of operations give the same faults.
    pub fn seeded(seed: u64, rates: Rates) -> Self {
        Self::of(State { random: seed, rates, ..State::default() })
    }

    fn of(state: State) -> Self {
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next operation of this kind fails so; called again, the one after it.
    pub fn inject(&self, op: Op, fault: Fault) {
        self.state().pending.entry(op).or_default().push_back(fault);
    }

    /// Changes how often things fail from now on.
    pub fn set_rates(&self, rates: Rates) {
        self.state().rates = rates;
    }

    /// What has been injected so far.
    pub fn injected(&self) -> Vec<Injected> {
        self.state().injected.clone()
    }

    /// True between a crash and [`Plan::revive`].
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// The process starts again: what is opened from now on works.
    pub fn revive(&self) {
        let mut state = self.state();
        state.crashed = false;
        state.life += 1;
    }

    pub(super) fn life(&self) -> u64 {
        self.state().life
    }

    pub(super) fn crash(&self) {
        self.state().crashed = true;
    }

    /// The fate of the next operation of this kind.
    pub(super) fn next(&self, op: Op) -> Option<Fault> {
        let mut state = self.state();
        let count = state.counts.entry(op).or_default();
        let nth = *count;
        *count += 1;
        let asked = state.pending.get_mut(&op).and_then(VecDeque::pop_front);
        let fault = asked.or_else(|| state.script.get(&(op, nth)).copied()).or_else(|| state.draw(op))?;
        state.injected.push(Injected { op, nth, fault });
        if fault == Fault::CrashBefore {
            state.crashed = true;
        }
        Some(fault)
    }
}

impl State {
    fn draw(&mut self, op: Op) -> Option<Fault> {
        if self.rates == Rates::default() {
            return None;
        }
        let roll = self.next_random() % 10_000;
        let choice = self.next_random();
        let rates = self.rates;
        let either = |faults: &[Fault]| faults[(choice % faults.len() as u64) as usize];
        let unknown = [Fault::UnknownNotWritten, Fault::UnknownWritten, Fault::UnknownWrittenLate];
        let table = match op {
            Op::Commit => [
                (rates.abort, Fault::Abort),
                (rates.unknown, either(&unknown)),
                (rates.fenced, Fault::Fenced),
            ],
            Op::Poll => [(rates.error, Fault::Abort), (rates.silence, Fault::Silence), (0, Fault::Silence)],
            Op::Recover | Op::Send | Op::Flush => {
                [(rates.error, Fault::Abort), (0, Fault::Abort), (0, Fault::Abort)]
            }
        };
        let crash = (rates.crash, either(&[Fault::CrashBefore, Fault::CrashAfter]));
        let mut below = 0;
        table.into_iter().chain([crash]).find_map(|(rate, fault)| {
            below += u64::from(rate);
            (roll < below).then_some(fault)
        })
    }

    /// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

//! Where a worker stands in its group: joining → waiting → restoring → running → draining.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where a worker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It is not in its group (yet, or for now).
    #[default]
    Joining,
    /// It is in the group and has no tasks.
    Waiting,
    /// It has tasks, and brings their state back.
    Restoring,
    /// All of its tasks run.
    Running,
    /// It finishes what it has begun and gives its tasks up.
    Draining,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Joining, Self::Waiting, Self::Restoring, Self::Running, Self::Draining];

    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Waiting => "waiting",
            Self::Restoring => "restoring",
            Self::Running => "running",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stage that other threads can see while the worker is busy: a restore may take its time.
#[derive(Clone, Debug, Default)]
pub struct StageCell(Arc<AtomicU8>);

impl StageCell {
    /// The worker stands here from now on.
    pub fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    /// Where the worker stands.
    pub fn get(&self) -> Stage {
        Stage::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_gives_back_every_stage() {
        let cell = StageCell::default();
        assert_eq!(cell.get(), Stage::Joining);
        for stage in Stage::ALL {
            cell.set(stage);
            assert_eq!(cell.get(), stage);
        }
    }
}

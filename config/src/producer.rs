//! `[producer]`: what the commands that write inputs do while the log is away. Outside the configuration version.

use std::path::PathBuf;
use std::time::Duration;

use crate::registry::Edge;
use crate::section::Section;
use crate::value::Size;

/// What producers need.
#[derive(Clone, Debug, PartialEq)]
pub struct Producer {
    /// Where records wait while Kafka is away.
    pub spool: Spool,
}

/// A spool on disk, for a log on Kafka. The embedded log needs none.
#[derive(Clone, Debug, PartialEq)]
pub struct Spool {
    /// Its folder; without one there is no spool.
    pub dir: Option<PathBuf>,
    /// Bytes of records that wait, at most; what is more is refused.
    pub max_bytes: u64,
    /// When Kafka is left alone. No record waits longer than `slow_call` for it before the spool takes it.
    pub breaker: Edge,
}

impl Producer {
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        Self { spool: section.group("spool", Spool::read) }
    }
}

impl Spool {
    fn read(section: &mut Section<'_>) -> Self {
        let dir = section.optional::<String>("dir").map(|written| section.resolve(&written));
        let max_bytes =
            section.get_if("max_bytes", |size: &Size| size.0 >= 1 << 20, "a size of \"1MiB\" or more").0;
        let breaker = section.group("breaker", Edge::read);
        if breaker.slow_call < Duration::from_millis(50) {
            let problem = "a call to Kafka takes tens of milliseconds when all is well";
            section.fail("breaker", problem, "slow_call of \"50ms\" or more");
        }
        Self { dir, max_bytes, breaker }
    }
}

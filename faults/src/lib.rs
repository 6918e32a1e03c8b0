//! What breaks the workers on purpose, and what must hold all the same.
//!
//! [`invariants`] know nothing of what was broken, nor of how: they read a log, any log, and say what does
//! not hold. [`simulator`] runs the real workers in a world of one thread, by a seed.

pub mod invariants;
pub mod run;
pub mod simulator;
pub mod tape;

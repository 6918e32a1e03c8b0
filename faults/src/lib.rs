//! What breaks the workers on purpose, and what must hold all the same.
//!
//! [`invariants`] know nothing of what was broken, nor of how: they read a log, any log, and say what does
//! not hold.

pub mod invariants;
pub mod tape;

//! The measurements of the load harness.

pub mod cost;
pub mod job_e;
pub mod latency;
pub mod memory;
pub mod r;
pub mod replay;
pub mod restart;
pub mod start;
pub mod transaction;

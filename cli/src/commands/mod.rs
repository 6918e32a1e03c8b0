//! The commands, a file each: its arguments and what it does.

pub mod config;
pub mod dlq;
pub mod produce;
pub mod tail;
pub mod topics;

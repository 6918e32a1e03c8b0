//! The reference dip-buying strategy, its orders and its books.

mod book;
mod execution;
mod order;
mod scripted;
mod strategy;
mod trader;
mod twist;

pub(crate) use strategy::Indicator;
pub(crate) use trader::{Moment, Trader};
pub(crate) use twist::{Script, Scripted, Twist};

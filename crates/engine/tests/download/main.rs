//! Downloads against servers on this machine that drop, stall, lie and change their minds.

mod faults;
mod hub;
mod resume;
mod safety;
mod server;
mod support;
mod together;
mod trust;

//! The parts of the `daysum` command that other programs can use: configuration, the engine on threads, and
//! synthetic clusters.

pub mod config;
pub mod counting;
pub mod engine;
pub mod memory;
pub mod spill;
pub mod synth;

//! The parts of the `daysum` command that other programs can use: configuration, and the engine on threads.

pub mod config;
pub mod counting;
pub mod engine;

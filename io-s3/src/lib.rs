//! daysum's adapters for places that keep files. So far: a directory on this machine.

mod local;

pub use local::{LocalSource, publish};

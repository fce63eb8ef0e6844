//! The proofs that daysum's numbers are right: an oracle that shares no code with the engine, comparison
//! of rows, golden data, builders of input files and random clusters.

pub mod cluster;
pub mod command;
pub mod compare;
pub mod engine;
pub mod fixture;
pub mod golden;
pub mod oracle;
pub mod postgres;
pub mod s3;
pub mod summary;

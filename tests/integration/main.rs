//! Every integration test in one binary: one link, shared servers.

mod architecture;
mod conformance;
mod corpus;
mod embedding;
mod generate;
mod golden;
mod laws;
mod long_labels;
mod oracle_goldens;
mod postgres;
mod s3;
mod spec;

//! The `daysum` command.
fn main() {}

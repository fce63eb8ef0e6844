//! What hostile bytes may do to daysum-core: end in a typed error. Anything else is a panic here.
//!
//! ```text
//! decode  bytes -> footer -> row groups -> typed columns
//! labels  text  -> canonical labels, which stay what they are when read again
//! ```
//!
//! Each action is an ordinary function, so the targets are a line each and the ordinary tests replay the corpus
//! on stable. Only panics count: an `Err` is a good answer to bad bytes.

mod decode;
mod labels;

pub use decode::decode;
pub use labels::labels;

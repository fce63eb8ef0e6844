//! What hostile bytes may do to daysum-core: end in a typed error. Anything else is a panic here.
//!
//! ```text
//! decode  bytes -> footer -> row groups -> typed columns
//! labels  text  -> canonical labels, which stay what they are when read again
//! wire    bytes -> partial state -> the same bytes
//! run     bytes -> a file of one of the tables -> finished rows, no line item lost
//! ```
//!
//! Each action is an ordinary function, so the targets are a line each and the ordinary tests replay the corpus
//! on stable. Only panics count: an `Err` is a good answer to bad bytes.

mod decode;
mod labels;
mod run;
mod wire;

pub use decode::decode;
pub use labels::labels;
pub use run::run;
pub use wire::wire;

/// Lets a panic count only where nobody catches it: libfuzzer's hook would end the program before core can make an
/// error of a panic of parquet's reader. One that reaches libfuzzer still ends it.
pub fn only_uncaught_panics() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

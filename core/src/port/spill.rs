//! Where groups wait that do not fit into memory.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;

/// Reads bytes, and waits for them.
pub trait ReadAt: Debug + Send + Sync {
    /// The bytes of this range, all of them; an error where there are fewer.
    fn read_at(&self, range: Range<u64>) -> Result<Bytes>;
}

/// Keeps what a run cannot hold, for as long as the run lasts: nothing in it is read by another run.
pub trait SpillStore: Debug + Send + Sync {
    /// Keeps these blocks, one behind the other. What comes back reads them; when it is dropped, they are forgotten.
    fn keep(&self, blocks: &mut dyn Iterator<Item = Result<Vec<u8>>>) -> Result<Arc<dyn ReadAt>>;
}

/// How many bytes may be held in one place, and where the rest goes.
///
/// Without the feature `spill` there is no value of this type, so that the compiler leaves out everything that is done
/// with one. It has to see a pattern for that, and does not look into `is_none`.
#[derive(Debug, Clone)]
pub struct Spill {
    /// Bytes of groups that may be held.
    pub bytes: usize,
    /// Where the rest goes.
    pub store: Arc<dyn SpillStore>,
    #[cfg(not(feature = "spill"))]
    _never: std::convert::Infallible,
}

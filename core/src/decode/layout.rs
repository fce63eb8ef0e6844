//! What the files of one writer have in common, held once however many there are.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::Schema;
use foldhash::fast::RandomState;
use hashbrown::HashSet;
use parquet::schema::types::SchemaDescPtr;

use super::footer::Footer;

/// The columns of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    /// As Arrow sees them, without what writers note beside: pandas' and Arrow's own notes are longer than the rest of a
    /// footer, and said all they can when the types were derived.
    pub(super) schema: Arc<Schema>,
    /// As Parquet stores them: the leaves of a tree.
    pub(super) columns: SchemaDescPtr,
}

impl Layout {
    /// Position among the stored columns of one that is not nested in another. Those that are come in between, so that
    /// Arrow's positions are others.
    pub(super) fn leaf(&self, name: &str) -> Option<usize> {
        let is_it = |path: &[String]| matches!(path, [only] if only == name);
        self.columns.columns().iter().position(|column| is_it(column.path().parts()))
    }
}

// Names, types and numbers: each equals itself.
impl Eq for Layout {}

impl Hash for Layout {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.schema.fields().hash(state);
    }
}

/// The layouts that were met so far, for whoever holds many footers.
///
/// ```
/// # use daysum_core::decode::{Footer, Layouts};
/// # fn gather(read: Vec<Footer>) -> Vec<Footer> {
/// let mut layouts = Layouts::default();
/// // One after the other, as they are read: else all layouts are in memory before the first goes.
/// read.into_iter().map(|footer| layouts.share(footer)).collect()
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Layouts(HashSet<Arc<Layout>, RandomState>);

impl Layouts {
    /// The footer, with the layout of an earlier one where the two are equal.
    pub fn share(&mut self, mut footer: Footer) -> Footer {
        footer.layout = self.0.get_or_insert_with(&footer.layout, Arc::clone).clone();
        footer
    }
}

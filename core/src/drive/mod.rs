//! From a listing to finished rows, on one task and any executor: the only async code here.
//!
//! ```text
//! list -> footers -> plan (which file is read for what, SPEC 1.7) -> fold each row group -> merge
//! ```
//!
//! ```
//! use daysum_core::port::{ListRequest, memory::MemorySource};
//! use daysum_core::{Lookups, drive};
//! # futures::executor::block_on(async {
//! let source = MemorySource::default(); // or any other Source
//! let lookups = Lookups { start_date: Some("2025-11-01".into()), end_date: Some("2025-11-30".into()), ..Default::default() };
//! let summary = drive::summarise(&source, &ListRequest::default(), &lookups).await?;
//! assert_eq!((summary.days.len(), summary.counts.rows_in), (0, 0));
//! # Ok::<(), daysum_core::Error>(())
//! # }).expect("an empty source is summarised");
//! ```

mod dedupe;
mod plan;
mod schedule;
mod seen;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;

pub use dedupe::dedupe;
pub use plan::{KeyFacts, Plan, PlannedObject, UnreadableObject, plan, wanted};
pub use schedule::{Schedule, Unit};
pub use seen::Seen;

use crate::decode::{
    ChunkDecoder, ChunkStep, Decoder, Footer, FooterDecoder, FooterStep, LARGEST_PAGE, Layouts, RowGroup,
    WindowedDecoder,
};
use crate::error::{Error, Result};
use crate::finalise::{DaySummary, Policy, PolicyOptions};
use crate::fold::Folder;
use crate::lookups::Lookups;
use crate::port::{ListRequest, ObjectMeta, Source};
use crate::state::{FoldConfig, FoldOptions, PartialState, RowCounts};

/// Everything that was asked for, finished.
#[derive(Debug)]
pub struct Summary {
    /// The days that have rows, in order.
    pub days: Vec<DaySummary>,
    /// What became of the line items.
    pub counts: RowCounts,
}

/// Lists, reads, folds and finishes everything below `request`. The first thing that is wrong ends it.
pub async fn summarise(source: &dyn Source, request: &ListRequest, lookups: &Lookups) -> Result<Summary> {
    let mut days = Vec::new();
    let counts = stream(source, request, lookups, |day| {
        if day.num_rows() > 0 {
            days.push(day);
        }
        Ok(())
    })
    .await?;
    days.sort_by_key(|summary| summary.day);
    Ok(Summary { days, counts })
}

/// The same, handing over each day as soon as no unread row group can hold it: memory is that of the
/// days that are open at once. Days that files could hold and do not are handed over without rows.
pub async fn stream(
    source: &dyn Source,
    request: &ListRequest,
    lookups: &Lookups,
    mut publish: impl FnMut(DaySummary) -> Result<()>,
) -> Result<RowCounts> {
    let config = Arc::new(FoldConfig::new(lookups, FoldOptions::default())?);
    let policy = Policy::new(lookups, PolicyOptions::default())?;
    let mut schedule = Schedule::new(plan_below(source, request, lookups).await?, config.clone());
    let mut folder = Folder::new(config.clone());
    loop {
        let units = schedule.next_units(NonZeroUsize::MIN);
        if units.is_empty() {
            break;
        }
        for unit in &units {
            folder = fold_row_group(source, &unit.object, unit.row_group.index, folder).await?;
            unit.check(folder.days())?;
        }
        for (day, state) in schedule.complete(&units, folder.take()?)? {
            publish(state.finalise(day, &config, &policy)?)?;
        }
    }
    let counts = *schedule.counts();
    counts.check()?;
    Ok(counts)
}

/// The Parquet objects below `request` that can concern the lookups, by key (SPEC 1.2). Where the source lists user
/// metadata too, because it was asked for, [`dedupe`] keeps one manifest per day.
pub async fn list(source: &dyn Source, request: &ListRequest, lookups: &Lookups) -> Result<Vec<ObjectMeta>> {
    let (mut objects, wanted) = (Vec::new(), wanted(lookups)?);
    let request = ListRequest { wanted: Some(wanted.clone()), ..request.clone() };
    let mut listed = source.list(&request);
    while let Some(object) = listed.try_next().await? {
        let concerns = || plan::concerns(&object.key, &KeyFacts::of(&object.key), &wanted, lookups);
        if object.key.ends_with(".parquet") && concerns() {
            objects.push(object);
        }
    }
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(dedupe(without_folders(objects)))
}

/// Some tools keep an empty object for every folder, which listings name like a file: it is none where something lies in
/// the folder, or where a file of the same name does. Objects come by key.
fn without_folders(objects: Vec<ObjectMeta>) -> Vec<ObjectMeta> {
    let from = |key: &str| &objects[objects.partition_point(|object| *object.key < *key)..];
    let is_folder = |folder: &ObjectMeta| {
        let inside = format!("{}/", folder.key);
        let mut same_name = from(&folder.key).iter().take_while(|object| object.key == folder.key);
        from(&inside).first().is_some_and(|object| object.key.starts_with(&inside))
            || same_name.any(|object| object.size > 0)
    };
    let files = objects.iter().filter(|object| object.size > 0 || !is_folder(object));
    files.cloned().collect()
}

/// The plan of everything below `request`. The first object that cannot be read is the error.
pub async fn plan_below(source: &dyn Source, request: &ListRequest, lookups: &Lookups) -> Result<Plan> {
    let (mut files, mut layouts) = (Vec::new(), Layouts::default());
    for object in list(source, request, lookups).await? {
        let footer = layouts.share(read_footer(source, &object).await?);
        files.push((object, Ok(footer)));
    }
    let mut plan = plan(files, lookups)?;
    if plan.unreadable.is_empty() {
        return Ok(plan);
    }
    Err(plan.unreadable.swap_remove(0).error)
}

/// Ranges of an object, each as long as it was asked for: what a source gets wrong is not the object's fault.
async fn read(source: &dyn Source, object: &ObjectMeta, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let bytes = source.read(object, ranges).await?;
    let wanted = ranges.iter().map(|range| range.end - range.start);
    if bytes.iter().map(|bytes| bytes.len() as u64).eq(wanted) {
        return Ok(bytes);
    }
    let told: Vec<usize> = bytes.iter().map(Bytes::len).collect();
    let reason = format!("ranges {ranges:?} were answered with {told:?} bytes");
    Err(Error::port("source", format!("read {}", object.key), true, reason))
}

/// Reads an object's footer.
pub async fn read_footer(source: &dyn Source, object: &ObjectMeta) -> Result<Footer> {
    let mut decoder = FooterDecoder::new(object)?;
    loop {
        match decoder.step()? {
            FooterStep::Need(ranges) => decoder.supply(read(source, object, &ranges).await?)?,
            FooterStep::Done(footer) => return Ok(*footer),
        }
    }
}

/// Reads what a decoder asks for, and hands every batch of its row group to `each`, in the order of the file.
pub async fn read_rows(
    source: &dyn Source,
    object: &ObjectMeta,
    mut decoder: impl Decoder,
    mut each: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    loop {
        match decoder.step()? {
            ChunkStep::Need(ranges) => decoder.supply(read(source, object, &ranges).await?)?,
            ChunkStep::Batch(batch) => each(&batch)?,
            ChunkStep::Done => return Ok(()),
        }
    }
}

/// Folds all row groups of an object.
pub async fn fold_object(
    source: &dyn Source,
    object: &PlannedObject,
    config: &Arc<FoldConfig>,
) -> Result<PartialState> {
    let mut folder = Folder::new(config.clone());
    for row_group in object.footer.row_groups(object.kind) {
        folder = fold_row_group(source, object, row_group.index, folder).await?;
    }
    folder.take()
}

/// What may be held of a file while it is read, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Of a row group, as it is stored: a larger one is read in windows.
    pub stored: u64,
    /// Of the largest pages of all columns together, decompressed: larger ones are refused.
    pub page: u64,
}

/// Row groups are held whole.
impl Default for ReadLimits {
    fn default() -> Self {
        Self { stored: u64::MAX, page: LARGEST_PAGE }
    }
}

/// Folds one row group.
pub async fn fold_row_group(
    source: &dyn Source,
    object: &PlannedObject,
    row_group: u32,
    folder: Folder,
) -> Result<Folder> {
    let rows = folder.batch_rows();
    let decoder = ChunkDecoder::new(&object.footer, object.kind, row_group, rows)?;
    fold_decoded(source, object, row_group, folder, decoder).await
}

/// Folds one row group within limits. The state is the same, whichever they are.
pub async fn fold_within(
    source: &dyn Source,
    limits: &ReadLimits,
    object: &PlannedObject,
    row_group: &RowGroup,
    folder: Folder,
) -> Result<Folder> {
    let (footer, index, rows) = (&object.footer, row_group.index, folder.batch_rows());
    if row_group.bytes <= limits.stored {
        let decoder = ChunkDecoder::new(footer, object.kind, index, rows)?.pages_within(limits.page);
        fold_decoded(source, object, index, folder, decoder).await
    } else {
        let decoder = WindowedDecoder::new(footer, object.kind, index, rows, limits.stored)?;
        fold_decoded(source, object, index, folder, decoder.pages_within(limits.page)).await
    }
}

async fn fold_decoded(
    source: &dyn Source,
    object: &PlannedObject,
    row_group: u32,
    folder: Folder,
    decoder: impl Decoder,
) -> Result<Folder> {
    let mut chunk = object.start(folder, row_group)?;
    read_rows(source, &object.meta, decoder, |rows| chunk.push(rows)).await?;
    Ok(chunk.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_object_is_a_folder_where_something_lies_in_it_or_has_its_name() {
        let objects = |of: &[(&str, u64)]| -> Vec<ObjectMeta> {
            let object =
                |&(key, size): &(&str, u64)| ObjectMeta { key: key.into(), size, ..Default::default() };
            of.iter().map(object).collect()
        };
        let listed = [
            ("a.parquet", 0),
            ("a.parquet", 9),
            ("b.parquet", 0),
            ("b.parquet-1", 1),
            ("b.parquet/1", 0),
            ("c.parquet", 0), // a file that is empty, and has to be told
        ];
        let files = objects(&[listed[1], listed[3], listed[4], listed[5]]);
        assert_eq!(without_folders(objects(&listed)), files);
    }
}

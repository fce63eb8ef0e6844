//! What a run is measured against: the same row groups, columns and threads, decoded and dropped.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use daysum_core::decode::{BATCH_ROWS, ChunkDecoder};
use daysum_core::drive::{self, Schedule, Unit};
use daysum_core::port::ListRequest;
use daysum_core::{FoldConfig, Lookups, Result};
use daysum_io_s3::LocalSource;
use futures::executor::block_on;

/// Seconds that reading and decoding take, planning included.
pub(super) fn decode(input: &Path, lookups: &Lookups, threads: NonZeroUsize) -> Result<f64> {
    let started = Instant::now();
    let source = LocalSource::new(input)?;
    let config = Arc::new(FoldConfig::new(lookups, Default::default())?);
    let plan = block_on(drive::plan_below(&source, &ListRequest::default(), lookups))?;
    let schedule = Mutex::new(Schedule::new(plan, config));
    let next = || schedule.lock().unwrap_or_else(PoisonError::into_inner).next_unit();
    let work = || -> Result<()> {
        while let Some(Unit { object, row_group, .. }) = next() {
            let decoder = ChunkDecoder::new(&object.footer, object.kind, row_group.index, BATCH_ROWS)?;
            block_on(drive::read_rows(&source, &object.meta, decoder, |_| Ok(())))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    Ok(started.elapsed().as_secs_f64())
}

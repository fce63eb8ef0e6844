//! What each stage takes, counted by the allocator to the byte: no kernel, no time, no other thread.
//!
//! ```text
//! decode   a row group of pods -> batches            merge     two states -> one
//! fold     its batches -> partial state              finalise  a day -> its summary
//! spill    a state -> sorted runs                    encode    the summary -> Parquet
//!                                                    spilled   finalise and encode again, from runs
//! ```
//!
//! The numbers below are what was counted. A stage that takes a tenth more fails, and one that takes a tenth less as
//! well, so that what was won is kept. To change them on purpose, run `cargo test -p daysum --test stages -- --nocapture`,
//! write down what it prints, and say why in the commit.

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use daysum::spill::SpillFiles;
use daysum::synth::{Shape, generate};
use daysum_core::decode::{BATCH_ROWS, ChunkDecoder};
use daysum_core::drive::{self, PlannedObject};
use daysum_core::port::{ListRequest, Spill};
use daysum_core::rows::{RowsEncoder, RowsFormat};
use daysum_core::schema::Table;
use daysum_core::{DayState, DaySummary, FoldConfig, Folder, Lookups, PartialState, Policy};
use daysum_io_s3::LocalSource;
use futures::executor::block_on;

/// KiB at the peak of each stage, beyond what it was given.
const RECORDED: [(&str, usize); 8] = [
    ("decode", 12495),
    ("fold", 8909),
    ("merge", 221),
    ("finalise", 3210),
    ("encode", 14998),
    ("spill", 1590),
    ("spilled finalise", 1342),
    ("spilled encode", 14994),
];

/// What one holder may have of groups where they are spilled.
const SPILL_BYTES: usize = 1 << 20;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

fn less(bytes: usize) {
    HELD.fetch_sub(bytes, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator cannot be written without it")]
// SAFETY: every call is passed on to the system's allocator as it came; beside that only numbers are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        less(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it is moved, both are there.
        more(size);
        less(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does the work; the bytes at its peak beyond those that were held before, in KiB.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let done = work();
    (done, (PEAK.load(Ordering::Relaxed) - before) / 1024)
}

struct Cluster {
    source: LocalSource,
    config: Arc<FoldConfig>,
    policy: Policy,
    objects: Vec<PlannedObject>,
    _directory: tempfile::TempDir,
}

impl Cluster {
    /// A day of five thousand pods, each with labels of its own, in row groups of a third of their rows.
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut shape = Shape::of_rows(120_000, 1, "2025-11-01".parse().expect("a day"), 1);
        (shape.label_keys, shape.row_group_rows) = (10, 40_000);
        generate(&shape, directory.path(), NonZeroUsize::MIN).expect("writable");
        let json = std::fs::read(directory.path().join("lookups.json")).expect("generated");
        let lookups = Lookups::from_json(&json).expect("lookups");
        let source = LocalSource::new(directory.path()).expect("a directory");
        let config = Arc::new(FoldConfig::new(&lookups, Default::default()).expect("a range"));
        let policy = Policy::new(&lookups, Default::default()).expect("a policy");
        let plan = block_on(drive::plan_below(&source, &ListRequest::default(), &lookups)).expect("readable");
        Self { source, config, policy, objects: plan.objects, _directory: directory }
    }

    fn pods(&self) -> &PlannedObject {
        let is_pods = |object: &&PlannedObject| matches!(object.footer.table(), Ok(Table::PodUsage));
        self.objects.iter().find(is_pods).expect("every cluster has pods")
    }

    /// The batches of the pods' first row group, each given away as soon as it is there.
    fn decode(&self, mut take: impl FnMut(RecordBatch)) {
        let pods = self.pods();
        let decoder = ChunkDecoder::new(&pods.footer, pods.kind, 0, BATCH_ROWS).expect("columns");
        let give = |batch: &RecordBatch| {
            take(batch.clone());
            Ok(())
        };
        block_on(drive::read_rows(&self.source, &pods.meta, decoder, give)).expect("readable");
    }

    fn fold(&self, batches: &[RecordBatch]) -> PartialState {
        let pods = self.pods();
        let mut chunk = pods.start(Folder::new(self.config.clone()), 0).expect("once");
        batches.iter().for_each(|batch| chunk.push(batch).expect("sound rows"));
        chunk.end().take().expect("no overflow")
    }

    /// The state of everything, by row groups; past the bytes of `spill` out of memory.
    fn whole(&self, spill: Option<&Spill>) -> DayState {
        let mut whole = PartialState::empty(self.config.clone());
        for object in &self.objects {
            for row_group in object.footer.row_groups(object.kind) {
                let index = row_group.index;
                let folder = Folder::new(self.config.clone()).spilling(spill.cloned());
                let folded = block_on(drive::fold_row_group(&self.source, object, index, folder));
                let state = folded.expect("readable").take().expect("no overflow");
                whole.merge(state).expect("each once");
            }
        }
        let (_, day) = whole.take_days().pop_first().expect("one day");
        day
    }

    fn finalise(&self, day: DayState) -> DaySummary {
        day.finalise("2025-11-01".parse().expect("a day"), &self.config, &self.policy).expect("sound")
    }
}

/// Encodes the day as an output does that takes bytes away as they come; how many there were.
fn encode(day: &DaySummary) -> usize {
    let mut encoder = RowsEncoder::new(RowsFormat::Parquet, Vec::new()).expect("a header");
    let mut written = 0;
    for rows in day.batches().expect("readable") {
        encoder.write(&rows.expect("readable")).expect("its own schema");
        written += std::mem::take(encoder.get_mut()).len();
    }
    written + encoder.finish().expect("a footer").len()
}

#[test]
fn no_stage_takes_a_tenth_more_than_was_recorded() {
    let cluster = Cluster::new();
    let mut batches = Vec::new();
    cluster.decode(|batch| batches.push(batch));
    let ((), decode) = peak(|| cluster.decode(drop));
    let (first, fold) = peak(|| cluster.fold(&batches));
    drop(batches);
    let pods = cluster.pods();
    let second = drive::fold_row_group(&cluster.source, pods, 1, Folder::new(cluster.config.clone()));
    let (mut merged, second) = (first, block_on(second).expect("readable").take().expect("no overflow"));
    let ((), merge) = peak(|| merged.merge(second).expect("each once"));
    drop(merged);

    let whole = cluster.whole(None);
    let (summary, finalise) = peak(|| cluster.finalise(whole));
    let (written, encode_held) = peak(|| encode(&summary));
    drop(summary);

    let spill = Spill { bytes: SPILL_BYTES, store: Arc::new(SpillFiles::new(std::env::temp_dir())) };
    let mut whole = cluster.whole(None);
    let ((), spilling) = peak(|| whole.spill(&spill).expect("room on the disk"));
    drop(whole);
    let whole = cluster.whole(Some(&spill));
    let (summary, finalise_spilled) = peak(|| cluster.finalise(whole));
    let (written_spilled, encode_spilled) = peak(|| encode(&summary));
    assert_eq!(written, written_spilled, "the same rows either way");

    let counted = [decode, fold, merge, finalise, encode_held, spilling, finalise_spilled, encode_spilled];
    let lines = RECORDED.iter().zip(counted).map(|((stage, _), now)| format!("    (\"{stage}\", {now}),"));
    println!("{}", lines.collect::<Vec<_>>().join("\n"));
    for ((stage, recorded), now) in RECORDED.into_iter().zip(counted) {
        let difference = now.abs_diff(recorded);
        assert!(difference * 10 <= recorded, "{stage}: {now} KiB, recorded are {recorded}");
    }
}

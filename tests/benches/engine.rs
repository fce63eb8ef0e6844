//! `cargo bench -p daysum-tests`: the stages of the engine by themselves, on one day of a synthetic cluster.
//!
//! ```text
//! decode   a row group of pods -> batches          fold      the same -> partial state, decoding included
//! merge    two states -> one                       wire      state -> bytes -> state
//! finalise a day -> rows                           labels    label text -> canonical set
//! ```

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::RecordBatch;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use daysum::synth::{Shape, generate};
use daysum_core::decode::{BATCH_ROWS, ChunkDecoder};
use daysum_core::drive::{self, PlannedObject};
use daysum_core::labels::LabelFilter;
use daysum_core::port::ListRequest;
use daysum_core::schema::Table;
use daysum_core::{FoldConfig, Lookups, PartialState, Policy};
use daysum_io_s3::LocalSource;
use futures::executor::block_on;

/// Pod rows of the day.
const ROWS: u64 = 240_000;

struct Day {
    source: LocalSource,
    lookups: Lookups,
    config: Arc<FoldConfig>,
    objects: Vec<PlannedObject>,
    _directory: tempfile::TempDir,
}

impl Day {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let shape = Shape::of_rows(ROWS, 1, "2025-11-01".parse().expect("a day"), 1);
        generate(&shape, directory.path(), NonZeroUsize::MIN).expect("writable");
        let json = std::fs::read(directory.path().join("lookups.json")).expect("generated");
        let lookups = Lookups::from_json(&json).expect("lookups");
        let source = LocalSource::new(directory.path()).expect("a directory");
        let config = Arc::new(FoldConfig::new(&lookups, Default::default()).expect("a range"));
        let plan = block_on(drive::plan_below(&source, &ListRequest::default(), &lookups)).expect("readable");
        Self { source, lookups, config, objects: plan.objects, _directory: directory }
    }

    fn pods(&self) -> &PlannedObject {
        let is_pods = |object: &&PlannedObject| matches!(object.footer.table(), Ok(Table::PodUsage));
        self.objects.iter().find(is_pods).expect("every cluster has pods")
    }

    fn fold(&self, object: &PlannedObject) -> PartialState {
        block_on(drive::fold_object(&self.source, object, &self.config)).expect("readable")
    }

    fn whole(&self) -> PartialState {
        let mut whole = PartialState::empty(self.config.clone());
        for object in &self.objects {
            whole.merge(self.fold(object)).expect("each once");
        }
        whole
    }

    async fn decode(&self, object: &PlannedObject) -> usize {
        let mut rows = 0;
        for row_group in object.footer.row_groups(object.kind) {
            let decoder = ChunkDecoder::new(&object.footer, object.kind, row_group.index, BATCH_ROWS)
                .expect("the columns are there");
            let count = |batch: &RecordBatch| {
                rows += batch.num_rows();
                Ok(())
            };
            drive::read_rows(&self.source, &object.meta, decoder, count).await.expect("readable");
        }
        rows
    }
}

fn engine(criterion: &mut Criterion) {
    let day = Day::new();
    let pods = day.pods();
    let mut group = criterion.benchmark_group("pods");
    group.sample_size(20).throughput(Throughput::Elements(ROWS));
    group.bench_function("decode", |bencher| bencher.iter(|| block_on(day.decode(pods))));
    group.bench_function("fold", |bencher| bencher.iter(|| day.fold(pods)));
    group.finish();

    let mut group = criterion.benchmark_group("state");
    group.sample_size(20);
    let (state, whole) = (day.fold(pods), day.whole());
    let others = day.objects.iter().filter(|object| object.meta.key != pods.meta.key);
    let mut rest = PartialState::empty(day.config.clone());
    others.for_each(|object| rest.merge(day.fold(object)).expect("each once"));
    group.bench_function("merge", |bencher| {
        let pair = || (state.clone(), rest.clone());
        bencher.iter_batched(pair, |(mut left, right)| left.merge(right), BatchSize::LargeInput);
    });
    let bytes = whole.encode().expect("a state can be written");
    group.bench_function("encode", |bencher| bencher.iter(|| whole.encode()));
    group.bench_function("decode", |bencher| bencher.iter(|| PartialState::decode(bytes.clone())));
    let policy = Policy::new(&day.lookups, Default::default()).expect("a policy");
    group.bench_function("finalise", |bencher| {
        let one = || whole.clone().take_days().pop_first().expect("one day");
        let finish = |(at, state): (_, daysum_core::DayState)| state.finalise(at, &day.config, &policy);
        bencher.iter_batched(one, finish, BatchSize::LargeInput);
    });
    group.finish();

    let filter: &LabelFilter = day.config.labels();
    let text = r#"{"app":"web","environment":"production","team":"payments","version":"1.2.3","zone":"a"}"#;
    criterion.bench_function("labels", |bencher| bencher.iter(|| filter.canonical(black_box(text))));
}

criterion_group!(benches, engine);
criterion_main!(benches);

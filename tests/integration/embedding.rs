//! What a program that embeds the engine can get wrong, and what can go wrong below it: an error then, never other rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use daysum_core::decode::{BATCH_ROWS, ChunkDecoder, ChunkStep, Decoder};
use daysum_core::drive::{self, Plan, ReadLimits, Schedule, Unit};
use daysum_core::port::memory::{MemorySource, MemorySpill};
use daysum_core::port::{ListRequest, ObjectMeta, ReadAt, Source, Spill, SpillStore};
use daysum_core::schema::FactKind;
use daysum_core::state::ChunkId;
use daysum_core::{
    BoxFuture, BoxStream, Day, DayState, Error, FoldConfig, Folder, Lookups, PartialState, Policy, Result,
};
use daysum_tests::golden::Golden;
use futures::executor::block_on;

/// The files of a golden data set, and everything that folds them.
struct Scene {
    source: MemorySource,
    lookups: Lookups,
    config: Arc<FoldConfig>,
    policy: Policy,
}

impl Scene {
    fn new() -> Self {
        let golden = Golden::small();
        let source = MemorySource::default();
        for file in &golden.files {
            source.insert(&file.key, file.bytes.clone());
        }
        let lookups = golden.lookups;
        let config = Arc::new(FoldConfig::new(&lookups, Default::default()).expect("a range"));
        let policy = Policy::new(&lookups, Default::default()).expect("patterns");
        Self { source, lookups, config, policy }
    }

    fn plan(&self) -> Plan {
        block_on(drive::plan_below(&self.source, &ListRequest::default(), &self.lookups)).expect("a plan")
    }

    fn schedule(&self) -> Schedule {
        Schedule::new(self.plan(), self.config.clone())
    }

    fn fold(&self, unit: &Unit) -> PartialState {
        let folder = Folder::new(self.config.clone());
        let folder = drive::fold_row_group(&self.source, &unit.object, unit.row_group.index, folder);
        block_on(folder).and_then(|mut folder| folder.take()).expect("a sound row group")
    }

    fn rows(&self, day: Day, state: DayState) -> RecordBatch {
        let finished = state.finalise(day, &self.config, &self.policy).expect("a day");
        finished.rows().expect("rows in memory")
    }

    fn right(&self) -> BTreeMap<Day, RecordBatch> {
        let mut schedule = self.schedule();
        let mut days = BTreeMap::new();
        while let Some(unit) = schedule.next_unit() {
            let whole = schedule.complete(std::slice::from_ref(&unit), self.fold(&unit)).expect("its state");
            days.extend(whole.into_iter().map(|(day, state)| (day, self.rows(day, state))));
        }
        assert!(days.len() > 1 && days.values().all(|rows| rows.num_rows() > 50));
        days
    }
}

/// A disk that is full for once: after so many things were kept.
#[derive(Debug)]
struct FullOnce {
    after: AtomicUsize,
}

impl SpillStore for FullOnce {
    fn keep(&self, blocks: &mut dyn Iterator<Item = Result<Vec<u8>>>) -> Result<Arc<dyn ReadAt>> {
        if self.after.fetch_sub(1, Ordering::Relaxed) != 0 {
            return MemorySpill.keep(blocks);
        }
        Err(Error::port("spill", "write", false, "no space left on device"))
    }
}

fn full_once(after: usize) -> Spill {
    Spill { bytes: 0, store: Arc::new(FullOnce { after: AtomicUsize::new(after) }) }
}

/// What a day keeps, one after the other: usage, mounts, the rest.
const KEPT: usize = 3;

#[test]
fn a_day_that_cannot_be_spilled_is_held_as_before() {
    let scene = Scene::new();
    let right = scene.right();
    let mut all = PartialState::empty(scene.config.clone());
    for unit in scene.schedule().units() {
        all.merge(scene.fold(unit)).expect("one plan");
    }
    for (day, mut state) in all.take_days() {
        for after in 0..KEPT {
            assert_eq!(state.spill(&full_once(after)).expect_err("a full disk").code(), "port");
            assert_eq!(scene.rows(day, state.clone()), right[&day]);
        }
        state.spill(&full_once(KEPT)).expect("there is nothing more to keep");
    }
}

#[test]
fn a_unit_that_cannot_be_spilled_holds_back_its_days_and_no_other() {
    let scene = Scene::new();
    let right = scene.right();
    let mut schedule = scene.schedule();
    schedule.spill_beyond(Some(full_once(0)));
    let (mut published, mut failed) = (BTreeMap::new(), 0);
    while let Some(unit) = schedule.next_unit() {
        match schedule.complete(std::slice::from_ref(&unit), scene.fold(&unit)) {
            Ok(whole) => {
                published.extend(whole.into_iter().map(|(day, state)| (day, scene.rows(day, state))))
            }
            Err(error) => {
                assert_eq!(error.code(), "port");
                schedule.fail(&unit);
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 1);
    assert!(schedule.counts().is_conserved());
    let told: usize = published.len() + schedule.held().len();
    assert_eq!(told, right.len(), "every day is published or held back");
    assert!(published.iter().all(|(day, rows)| right[day] == *rows));
}

#[test]
fn a_schedule_takes_the_state_of_its_units_alone() {
    let scene = Scene::new();
    let mut schedule = scene.schedule();
    let (unit, other) = (schedule.next_unit().expect("a unit"), schedule.next_unit().expect("another"));
    let mut refused =
        |state| schedule.complete(std::slice::from_ref(&unit), state).expect_err("not its state").code();
    assert_eq!(refused(PartialState::empty(scene.config.clone())), "config");
    assert_eq!(refused(scene.fold(&other)), "config");
    let lookups = Lookups { enabled_tag_keys: Vec::new(), ..scene.lookups.clone() };
    let config = Arc::new(FoldConfig::new(&lookups, Default::default()).expect("a range"));
    assert_eq!(refused(PartialState::empty(config)), "config_mismatch");
    assert_eq!(
        schedule.complete(std::slice::from_ref(&unit), scene.fold(&unit)).err().map(|e| e.code()),
        None
    );
}

#[test]
fn what_a_first_look_has_taken_is_not_published_without_it() {
    let scene = Scene::new();
    let mut schedule = scene.schedule();
    let unit = schedule.next_unit().expect("a unit");
    schedule.complete(std::slice::from_ref(&unit), scene.fold(&unit)).expect("its state");
    let taken = schedule.take_open();
    assert!(!taken.is_empty());
    while let Some(unit) = schedule.next_unit() {
        let whole = schedule.complete(std::slice::from_ref(&unit), scene.fold(&unit)).expect("its state");
        assert!(whole.iter().all(|(day, _)| !taken.contains_key(day)));
    }
    assert!(taken.keys().all(|day| schedule.held().contains(day)));
}

/// Hourly rows of which the daily ones were made would count a second time.
#[test]
fn files_that_were_planned_apart_do_not_merge() {
    let scene = Scene::new();
    for through_the_wire in [false, true] {
        let mut all = PartialState::empty(scene.config.clone());
        let mut refused = Vec::new();
        for object in
            block_on(drive::list(&scene.source, &ListRequest::default(), &scene.lookups)).expect("files")
        {
            let footer = block_on(drive::read_footer(&scene.source, &object)).expect("a footer");
            let plan = drive::plan(vec![(object, Ok(footer))], &scene.lookups).expect("a plan");
            for object in &plan.objects {
                let mut state =
                    block_on(drive::fold_object(&scene.source, object, &scene.config)).expect("sound");
                if through_the_wire {
                    state = PartialState::decode(state.encode().expect("bytes")).expect("a state");
                }
                let before = all.clone();
                if let Err(error) = all.merge(state) {
                    refused.push((error.code(), object.kind));
                    all = before;
                }
            }
        }
        for kind in [FactKind::PodHourly, FactKind::StorageHourly] {
            let other = if kind == FactKind::PodHourly { FactKind::PodDaily } else { FactKind::StorageDaily };
            let of_table =
                |(code, found): &(_, FactKind)| *code == "config" && (*found == kind || *found == other);
            assert!(refused.iter().any(of_table), "{kind:?}: {refused:?}");
        }
    }
}

#[test]
fn two_versions_of_an_object_do_not_merge() {
    let scene = Scene::new();
    let unit = scene.schedule().next_unit().expect("a unit");
    let mut first = scene.fold(&unit);
    let key = &unit.object.meta.key;
    let file = Golden::small().files.into_iter().find(|file| file.key == **key).expect("its file");
    scene.source.insert(&file.key, file.bytes);
    let again = scene.schedule().next_unit().expect("a unit");
    assert_ne!(again.object.meta.version, unit.object.meta.version);
    let error = first.merge(scene.fold(&again)).expect_err("counted twice");
    assert_eq!(error.code(), "overlap");
    assert!(error.to_string().contains("version"), "{error}");
}

/// A source that answers otherwise than it is asked.
#[derive(Debug)]
struct Careless(MemorySource, fn(&mut Vec<bytes::Bytes>));

impl Source for Careless {
    fn list<'a>(&'a self, request: &'a ListRequest) -> BoxStream<'a, Result<ObjectMeta>> {
        self.0.list(request)
    }

    fn read<'a>(
        &'a self,
        object: &'a ObjectMeta,
        ranges: &'a [std::ops::Range<u64>],
    ) -> BoxFuture<'a, Result<Vec<bytes::Bytes>>> {
        Box::pin(async move {
            let mut bytes = self.0.read(object, ranges).await?;
            (self.1)(&mut bytes);
            Ok(bytes)
        })
    }
}

#[test]
fn a_source_that_answers_otherwise_is_blamed_itself() {
    let scene = Scene::new();
    let object = scene.plan().objects.remove(0);
    let wrong: [fn(&mut Vec<bytes::Bytes>); 3] = [
        |bytes| bytes.iter_mut().for_each(|bytes| bytes.truncate(bytes.len() / 2)),
        |bytes| drop(bytes.pop()),
        |bytes| bytes.push(bytes::Bytes::from_static(b"more")),
    ];
    let windows = ReadLimits { stored: 1, ..ReadLimits::default() };
    let row_group = object.footer.row_groups(object.kind)[0];
    for wrong in wrong {
        let source = Careless(scene.source.clone(), wrong);
        let folder = || Folder::new(scene.config.clone());
        let errors = [
            block_on(drive::read_footer(&source, &object.meta)).err(),
            block_on(drive::fold_row_group(&source, &object, 0, folder())).err(),
            block_on(drive::fold_within(&source, &windows, &object, &row_group, folder())).err(),
        ];
        for error in errors {
            let error = error.expect("an error");
            assert!(error.code() == "port" && error.is_retryable(), "{error}");
            assert!(error.to_string().contains(&*object.meta.key), "{error}");
        }
    }
}

#[test]
fn a_decoder_that_has_failed_is_not_done() {
    let scene = Scene::new();
    let object = scene.plan().objects.remove(0);
    let mut decoder = ChunkDecoder::new(&object.footer, object.kind, 0, BATCH_ROWS).expect("a row group");
    let ChunkStep::Need(ranges) = decoder.step().expect("a first step") else {
        panic!("nothing is held yet")
    };
    let short = ranges.iter().map(|_| bytes::Bytes::from_static(b"short")).collect();
    decoder.supply(short).expect_err("not what was asked for");
    assert_eq!(decoder.step().expect_err("rows are missing").code(), "format");
    let beyond =
        ChunkDecoder::new(&object.footer, object.kind, 7, BATCH_ROWS).expect_err("there are not so many");
    assert_eq!(beyond.location().expect("a place").row_group, Some(7));
}

#[test]
fn a_folder_asks_for_the_columns_of_its_rows_and_keeps_nothing_of_what_failed() {
    let scene = Scene::new();
    let chunk = ChunkId { object: "mine".into(), version: "".into(), row_group: 0 };
    let start =
        || Folder::new(scene.config.clone()).start(&chunk, FactKind::PodHourly, None).expect("a folder");
    let unit = scene.schedule().units().iter().find(|unit| unit.object.kind == FactKind::NodeLabels).cloned();
    let object = &unit.expect("node labels").object;
    let mut decoder = ChunkDecoder::new(&object.footer, object.kind, 0, BATCH_ROWS).expect("a row group");
    let rows = loop {
        match decoder.step().expect("decodes") {
            ChunkStep::Need(ranges) => {
                let bytes = block_on(scene.source.read(&object.meta, &ranges)).expect("bytes");
                decoder.supply(bytes).expect("what was asked for");
            }
            ChunkStep::Batch(rows) => break rows,
            ChunkStep::Done => panic!("no rows"),
        }
    };
    let mut folder = start();
    let error = folder.push(&rows).expect_err("node labels are no pods");
    assert_eq!(
        (error.code(), error.location().and_then(|at| at.column.as_deref())),
        ("schema", Some("namespace"))
    );
    assert_eq!(folder.end().take().expect_err("a failed row group").code(), "config");
    start().end().take().expect("nothing has failed here");
}

#[test]
fn lookups_that_say_nothing_are_an_empty_file() {
    assert_eq!(Lookups::default(), Lookups::from_json(b"{}").expect("an object"));
    assert!(Lookups::default().storage_exists, "as in most clusters");
}

#[test]
fn a_folder_above_may_be_called_like_a_table() {
    let lookups = Scene::new().lookups;
    let golden = Golden::small();
    let source = MemorySource::default();
    for file in &golden.files {
        source.insert(format!("team-vm_usage/{}", file.key), file.bytes.clone());
        source.insert(format!("openshift_vm_usage_line_items/{}", file.key), file.bytes.clone());
    }
    let listed = block_on(drive::list(&source, &ListRequest::default(), &lookups)).expect("files");
    assert_eq!(listed.len(), golden.files.len());
    assert!(listed.iter().all(|object| object.key.starts_with("team-vm_usage/")));
}

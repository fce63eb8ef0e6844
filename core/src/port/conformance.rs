//! What every adapter of a port must do, as tests that it runs against itself. Each panics at the first promise
//! that is not kept.
//!
//! ```
//! use daysum_core::port::{conformance, memory::MemoryStateStore};
//! futures::executor::block_on(conformance::state_store(&MemoryStateStore::default()));
//! ```

use std::ops::Range;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;

use super::{
    Ledger, ListRequest, ObjectMeta, Published, Quarantine, QuarantineEntry, RunId, Sink, Source, SpillStore,
    StateKey, StateStore, Wanted, WriteScope,
};
use crate::day::Day;
use crate::error::Error;

/// A source that holds these objects and no other, of which one at least is ten bytes long.
pub async fn source(source: &dyn Source, objects: &[(&str, Bytes)]) {
    let all = listed(source, "").await;
    let mut expected: Vec<(&str, u64)> =
        objects.iter().map(|(key, bytes)| (*key, bytes.len() as u64)).collect();
    expected.sort_unstable();
    assert_eq!(
        all.iter().map(|object| (&*object.key, object.size)).collect::<Vec<_>>(),
        expected,
        "every object is listed once, with its size"
    );
    for (key, bytes) in objects {
        for (at, _) in key.match_indices('/') {
            let folder = &key[..at];
            let below = listed(source, folder).await;
            let inside = all.iter().filter(|object| object.key.starts_with(&format!("{folder}/")));
            assert_eq!(
                below.iter().collect::<Vec<_>>(),
                inside.collect::<Vec<_>>(),
                "what lies below {folder}"
            );
        }
        let part = |name| key.split('/').find_map(|part| part.strip_prefix(name));
        if let [Some(of_source), Some(year), Some(month)] = ["source=", "year=", "month="].map(part) {
            let month = format!("{year}-{month:0>2}").parse().expect("a month");
            let wanted = Some(Wanted { source_uuid: of_source.to_lowercase(), months: (month, month) });
            let request = ListRequest { wanted, ..ListRequest::default() };
            let found: Vec<_> = source.list(&request).try_collect().await.expect("the listing succeeds");
            assert!(
                found.iter().any(|object| *object.key == **key),
                "{key} is of the wanted source and month"
            );
        }
        let object = all.iter().find(|object| *object.key == **key).expect("it was listed above");
        ranges(source, object, bytes).await;
    }
    assert_eq!(
        listed(source, "no such prefix/").await,
        [],
        "nothing lies below a prefix that does not exist"
    );
    let gone = ObjectMeta { key: "no such object".into(), size: 10, version: None, ..Default::default() };
    let whole: Range<u64> = 0..10;
    let error =
        source.read(&gone, &[whole]).await.expect_err("a missing object is an error, not an empty answer");
    assert_eq!(error.code(), "changed", "a run lists again where an object has vanished: {error}");
}

async fn ranges(source: &dyn Source, object: &ObjectMeta, bytes: &Bytes) {
    let size = object.size;
    let asked = [0..size, size / 2..size, 0..size.min(1), size / 3..size / 2];
    let read = source.read(object, &asked).await.expect("ranges inside the object");
    let cut: Vec<Bytes> =
        asked.iter().map(|range| bytes.slice(range.start as usize..range.end as usize)).collect();
    assert_eq!(read, cut, "every range in the order it was asked for, overlapping ones too");
    assert_eq!(source.read(object, &[]).await.expect("nothing is asked"), Vec::<Bytes>::new());
    let (beyond, whole) = (0..size + 1, 0..size);
    source
        .read(object, &[beyond])
        .await
        .expect_err("a range beyond the end is an error, never a short answer");
    if object.version.is_some() {
        let other = ObjectMeta { version: Some("another version".into()), ..object.clone() };
        let error = source.read(&other, &[whole]).await.expect_err("another version than the listed one");
        assert_eq!(error.code(), "changed", "a run lists again where an object has changed: {error}");
    }
}

async fn listed(source: &dyn Source, prefix: &str) -> Vec<ObjectMeta> {
    let list = async |wanted| {
        let request = ListRequest { prefix: prefix.to_owned(), wanted };
        let mut objects: Vec<ObjectMeta> =
            source.list(&request).try_collect().await.expect("the listing succeeds");
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        objects
    };
    let objects = list(None).await;
    let months = ["0001-01", "9999-12"].map(|month| month.parse().expect("a month"));
    let any = Wanted { source_uuid: String::new(), months: (months[0], months[1]) };
    assert_eq!(list(Some(any)).await, objects, "nothing that is wanted may be left out");
    objects
}

/// A sink that holds nothing of the scope's source yet; `scope` is any day of it, the next day is written too. `rows`
/// makes rows of a day, several, and as many for each. `stored` counts those of a day as a reader of the place finds
/// them, past the sink: a ledger can be right about rows that are there twice.
pub async fn sink(
    sink: &mut dyn Sink,
    scope: &WriteScope,
    rows: impl Fn(Day) -> RecordBatch,
    stored: impl AsyncFn(Day) -> usize,
) {
    let source = scope.source_uuid.as_str();
    let next = WriteScope { day: scope.day.next(), ..scope.clone() };
    let (rows, rows_of_next) = (&rows(scope.day), &rows(next.day));
    let month = (scope.day, next.day);
    let found = async || (stored(scope.day).await, stored(next.day).await);
    let both = (rows.num_rows(), rows.num_rows());
    assert_eq!(published(sink, source, month).await, [], "nothing is published yet");

    let mut dropped = sink.begin(scope).await.expect("a replacement begins");
    dropped.write(rows).await.expect("rows are taken");
    drop(dropped);
    assert_eq!(published(sink, source, month).await, [], "what is dropped is not published");
    assert_eq!(found().await, (0, 0), "nor stored");

    for (scope, rows) in [(scope, rows), (&next, rows_of_next)] {
        let receipt = replace(sink, scope, rows).await;
        assert_eq!(receipt, rows.num_rows() as u64, "the receipt counts the rows");
    }
    assert_eq!(published(sink, source, month).await, [scope.day, next.day], "both days, in order");
    assert_eq!(published(sink, source, (next.day, next.day)).await, [next.day], "both ends are inclusive");
    assert_eq!(published(sink, ANOTHER_SOURCE, month).await, [], "of this source alone");
    assert_eq!(found().await, both, "the rows of both");

    let first = entry(sink, scope).await;
    let mut dropped = sink.begin(scope).await.expect("a replacement begins");
    dropped.write(&rows.slice(0, 1)).await.expect("rows are taken");
    drop(dropped);
    let kept = entry(sink, scope).await;
    assert_eq!(
        (kept.rows, &kept.digest),
        (first.rows, &first.digest),
        "what is dropped leaves the day alone"
    );
    assert_eq!(found().await, both, "and its rows");

    let mut write = sink.begin(scope).await.expect("a replacement begins");
    for (start, end) in [(0, 1), (1, rows.num_rows())] {
        write.write(&rows.slice(start, end - start)).await.expect("rows are taken");
    }
    assert_eq!(write.commit().await.expect("it commits").rows, rows.num_rows() as u64, "rows of all batches");
    let again = entry(sink, scope).await;
    assert_eq!(again.scope, *scope, "the ledger keeps the scope it was written under");
    assert_eq!(again.rows, rows.num_rows() as u64, "and how many rows there are");
    assert_eq!(again.digest, first.digest, "equal rows have equal digests, however they come");
    assert_eq!(found().await, both, "the old rows are gone");

    assert_eq!(replace(sink, scope, &rows.slice(0, 0)).await, 0, "a day can be replaced by none");
    assert_ne!(entry(sink, scope).await.digest, first.digest, "other rows have another digest");
    let ledger = sink.published(source, scope.day, next.day).await.expect("the ledger");
    assert_eq!(ledger.iter().map(|day| day.rows).collect::<Vec<_>>(), [0, rows.num_rows() as u64]);
    assert_eq!(found().await, (0, rows.num_rows()), "no row is left of a day of none");
}

/// A ledger that holds nothing yet of the scope's day and the two days after it. `rows` makes rows of a day, several;
/// `stored` counts those of a day as a reader of the place finds them.
pub async fn ledger(
    ledger: &mut dyn Ledger,
    scope: &WriteScope,
    rows: impl Fn(Day) -> RecordBatch,
    stored: impl AsyncFn(Day) -> usize,
) {
    let (source, day) = (scope.source_uuid.as_str(), scope.day);
    let next = WriteScope { day: day.next(), ..scope.clone() };
    let remembered = async |ledger: &mut dyn Ledger, source, last| {
        ledger.remembered(source, day, last).await.expect("what was remembered")
    };
    assert_eq!(remembered(ledger, source, next.day).await, None, "nothing yet");
    for seen in ["one", "another, and longer"] {
        ledger.remember(source, day, next.day, seen).await.expect("it is remembered");
        assert_eq!(remembered(ledger, source, next.day).await.as_deref(), Some(seen), "what came last");
    }
    assert_eq!(remembered(ledger, source, day).await, None, "of just these days");
    assert_eq!(remembered(ledger, ANOTHER_SOURCE, next.day).await, None, "of this source alone");

    assert_eq!(ledger.reread(source, &[day]).await.expect("marked"), 0, "nothing is published yet");
    for scope in [scope, &next] {
        replace(ledger, scope, &rows(scope.day)).await;
    }
    let marked = ledger.reread(source, &[day, next.day.next()]).await.expect("marked");
    assert_eq!(marked, 1, "of two days one is published");
    assert_ne!(
        entry(ledger, scope).await.scope.fingerprint,
        scope.fingerprint,
        "no run takes it for its own"
    );
    assert_eq!(entry(ledger, &next).await.scope, next, "the other day stands");
    let (here, in_next) = (rows(day).num_rows(), rows(next.day).num_rows());
    assert_eq!((stored(day).await, stored(next.day).await), (here, in_next), "rows stay");

    let before = entry(ledger, scope).await;
    replace(ledger, scope, &rows(day).slice(0, 1)).await;
    assert_eq!(ledger.remove_day(&before).await.expect("looked"), None, "it was published again");
    assert_eq!(stored(day).await, 1, "so nothing happened");
    let now = entry(ledger, scope).await;
    assert_eq!(ledger.remove_day(&now).await.expect("removed"), Some(1), "the rows that went");
    assert_eq!((stored(day).await, stored(next.day).await), (0, in_next), "of this day alone");
    assert_eq!(published(ledger, source, (day, next.day)).await, [next.day], "nor is it published");
}

/// Nobody writes under it.
const ANOTHER_SOURCE: &str = "00000000-0000-4000-8000-000000000000";

/// The ledger's only entry of the scope's day.
async fn entry(sink: &mut dyn Sink, scope: &WriteScope) -> Published {
    let mut ledger = sink.published(&scope.source_uuid, scope.day, scope.day).await.expect("the ledger");
    let entry = ledger.pop().expect("the day is published");
    assert!(ledger.is_empty(), "a day replaced is still one day");
    entry
}

async fn replace(sink: &mut dyn Sink, scope: &WriteScope, rows: &RecordBatch) -> u64 {
    let mut write = sink.begin(scope).await.expect("a replacement begins");
    write.write(rows).await.expect("rows are taken");
    write.commit().await.expect("it commits").rows
}

async fn published(sink: &mut dyn Sink, source: &str, days: (Day, Day)) -> Vec<Day> {
    let ledger = sink.published(source, days.0, days.1).await.expect("the ledger");
    ledger.into_iter().map(|day| day.scope.day).collect()
}

/// A quarantine that holds nothing of the sources `a` and `b` yet.
pub async fn quarantine(quarantine: &mut dyn Quarantine) {
    let entry = |source: &str, object: &str, version: Option<&str>| QuarantineEntry {
        source_uuid: source.to_owned(),
        object: object.to_owned(),
        version: version.map(str::to_owned),
        code: "format".to_owned(),
        reason: "first".to_owned(),
        days: vec![Day(20_000), Day(20_001)],
        run: "r".to_owned(),
    };
    let long = format!("source=a/{}/x.parquet", "folder/".repeat(60));
    let (one, two) = (entry("a", "b/c.parquet", Some("\"1\"")), entry("a", "b/c.parquet", None));
    let (far, other) = (entry("a", &long, None), entry("b", "b/c.parquet", None));
    for entry in [&far, &one, &two, &other] {
        quarantine.put(entry).await.expect("it is stored");
    }
    let again = QuarantineEntry { reason: "second".to_owned(), run: "s".to_owned(), ..one.clone() };
    quarantine.put(&again).await.expect("it is replaced");
    let kept = quarantine.list("a").await.expect("the entries");
    assert_eq!(kept, [two, again, far.clone()], "by object, each version once, as it was put last");
    for removed in [2, 0] {
        assert_eq!(quarantine.remove("a", "b/c.parquet").await.expect("removed"), removed, "every version");
    }
    assert_eq!(quarantine.list("a").await.expect("the entries"), [far], "of this object alone");
    assert_eq!(quarantine.list("b").await.expect("the entries"), [other], "of this source alone");
}

/// A state store that holds nothing of the runs `a`, `a-b` and `b` yet.
pub async fn state_store(store: &dyn StateStore) {
    let key = |run: &str, name: &str| StateKey { run: RunId(run.to_owned()), name: name.to_owned() };
    let (one, two, other) = (key("a", "one"), key("a", "two"), key("b", "one"));
    assert_eq!(store.get(&one).await.expect("nothing is no failure"), None);
    for (key, content) in [(&one, "1"), (&two, "2"), (&other, "3")] {
        store.put(key, Bytes::from(content)).await.expect("it is stored");
    }
    store.put(&one, Bytes::from("a longer one")).await.expect("it is replaced");
    assert_eq!(store.get(&one).await.expect("it is there"), Some(Bytes::from("a longer one")));
    assert_eq!(store.get(&other).await.expect("it is there"), Some(Bytes::from("3")), "runs stay apart");
    let dashed = key("a", "b-c");
    store.put(&dashed, Bytes::from("4")).await.expect("it is stored");
    let likely: Vec<StateKey> =
        store.list(&RunId("a-b".to_owned())).try_collect().await.expect("the listing succeeds");
    assert_eq!(likely, [], "a run with a name that another one's keys begin with");
    store.delete(&dashed).await.expect("it is removed");
    let run = RunId("a".to_owned());
    let mut keys: Vec<StateKey> = store.list(&run).try_collect().await.expect("the listing succeeds");
    keys.sort();
    assert_eq!(keys, [one.clone(), two], "the keys of one run");
    for _ in 0..2 {
        store.delete(&one).await.expect("removing what is gone is fine");
    }
    assert_eq!(store.get(&one).await.expect("nothing is no failure"), None);
}

/// A spill store that can take some bytes.
pub fn spill_store(store: &dyn SpillStore) {
    let block = |number: u8| vec![number; 10 + usize::from(number)];
    let keep = |numbers: Range<u8>| store.keep(&mut numbers.map(|number| Ok(block(number)))).expect("kept");
    let first = keep(0..4);
    // While one sequence is kept others are, too: threads share a store.
    let mut inner = None;
    let mut blocks = (4..8).map(|number| {
        inner.get_or_insert_with(|| keep(8..12));
        Ok(block(number))
    });
    let outer = store.keep(&mut blocks).expect("kept");
    let broken = Error::port("test", "a block that cannot be made", false, "planted");
    let mut blocks = [Ok(block(1)), Err(broken)].into_iter();
    let refused = store.keep(&mut blocks).expect_err("a block that cannot be made is an error");
    assert!(refused.to_string().contains("planted"), "it comes back as it is: {refused}");
    for (kept, numbers) in [(first, 0..4), (outer, 4..8), (inner.expect("it was kept"), 8..12)] {
        let whole = numbers.flat_map(block).collect::<Vec<u8>>();
        let size = whole.len() as u64;
        for range in [0..size, 0..1, 9..12, 5..size - 1, size - 1..size, size..size] {
            let read = kept.read_at(range.clone()).expect("a range inside");
            assert_eq!(read, whole[range.start as usize..range.end as usize], "bytes {range:?} of {size}");
        }
        kept.read_at(size - 1..size + 1)
            .expect_err("a range beyond the end is an error, never a short answer");
    }
    let nothing = store.keep(&mut std::iter::empty()).expect("a sequence of no blocks");
    assert_eq!(nothing.read_at(0..0).expect("nothing is asked"), Bytes::new());
}

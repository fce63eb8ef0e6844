//! Pod rows: usage sums, node capacity per interval, and which pod ran on which node.

use super::labels::{parse, replaced};
use super::series::{Ids, LastRow, RowRun, Series};
use super::symbols::{Labels, Latest, Memo};
use super::{Context, OpenDay};
use crate::error::{Error, Result};
use crate::intern::{Interner, Sym};
use crate::schema::{ANOMALY, CAPACITY_NUMBERS, FactKind, NO_ID, NumberColumn, POD_METRICS, PodView};
use crate::state::{DayState, Mount, PodSums, RowCounts, Table};

/// Positions in [`POD_METRICS`] of usage, request and effective usage, for CPU and for memory.
pub(super) const EFFECTIVE: [[usize; 3]; 2] = [[0, 1, 2], [4, 5, 6]];

/// Whether one of the nine checked columns is absurd (SPEC 1.6); cores and effective usage are not checked.
pub(super) fn is_anomalous(view: &PodView, row: usize) -> bool {
    let metrics = [0, 1, 3, 4, 5, 7].map(|metric| &view.metrics[metric]);
    metrics
        .into_iter()
        .chain(&view.capacity[1..])
        .any(|column| column.get(row).is_some_and(|value| value > ANOMALY))
}

pub(super) fn fold(
    context: &Context<'_>,
    view: &PodView,
    rows: &[u32],
    open: &mut OpenDay,
    memo: &mut Memo,
    counts: &mut RowCounts,
) -> Result<()> {
    let OpenDay { state, series, .. } = open;
    let day = context.day;
    let names = &mut state.names;
    let nodes = memo.dictionaries.symbols(day, "node", &view.node, rows, |text, _| Ok(names.intern(text)))?;
    if context.kind != FactKind::PodDaily {
        fold_capacity(context, view, rows, &nodes, state)?;
    }
    if context.kind == FactKind::PodCapacity {
        counts.aggregated += rows.len() as u64;
        return Ok(());
    }
    // Texts are compared in one pass and numbers added in another: together they would not fit into the caches.
    let runs = find_runs(context, view, rows, &nodes, state, series, memo)?;
    let on_nodes = rows.iter().zip(&nodes).filter(|(_, node)| is_named(&state.names, **node));
    counts.malformed_labels += replaced(context, &view.labels, on_nodes.map(|(row, _)| *row));
    let ordinary = Ordinary::of(view);
    for (&row, run) in rows.iter().zip(runs) {
        let (row, run) = (row as usize, series.run(run));
        let Some(group) = run.group else {
            counts.no_node += 1;
            continue;
        };
        counts.aggregated += 1;
        match &ordinary {
            Some(ordinary) => ordinary.add(context, row, run, &mut state.usage)?,
            None => add_row(context, view, row, state.usage.value_mut(group as usize))?,
        }
    }
    Ok(())
}

/// The run of every selected row, made where its combination is new.
fn find_runs(
    context: &Context<'_>,
    view: &PodView,
    rows: &[u32],
    nodes: &[Sym],
    state: &mut DayState,
    series: &mut Series,
    memo: &mut Memo,
) -> Result<Vec<u32>> {
    let DayState { names, usage, mounts, .. } = state;
    let Memo { dictionaries, labels } = memo;
    let mut labels = labels.of(context.day, "pod_labels");
    let columns = [&view.namespace, &view.pod, &view.resource_id, &view.labels];
    series.bind(columns, labels.generation());
    let mut bind = |name, column| dictionaries.column(context.day, name, column, rows.len());
    let mut namespaces = bind("namespace", &view.namespace);
    let mut pods = bind("pod", &view.pod);
    let mut resources = bind("resource_id", &view.resource_id);
    let mut intern = |text: &str| Ok(names.intern(text));
    let namespace_ids = &*namespaces.ids(rows, &mut intern)?;
    let pod_ids = &*pods.ids(rows, &mut intern)?;
    let resource_ids = &*resources.ids(rows, &mut intern)?;
    let label_ids = view.labels.ids();
    let label_ids = label_ids.as_deref();
    let mut runs = Vec::with_capacity(rows.len());
    for (&row, &node) in rows.iter().zip(nodes) {
        let row = row as usize;
        let of_labels = label_ids.map_or(NO_ID, |ids| ids[row]);
        let ids = Ids::new(namespace_ids[row], node.0 as i32, resource_ids[row], of_labels);
        let has_labels = |labels: &Labels<'_>, latest: Sym| match view.labels.get(row) {
            Some(text) => labels.is(latest, text),
            None => latest.is_null(),
        };
        let again = series
            .by_id
            .again(pod_ids[row], ids, |latest| label_ids.is_some() || has_labels(&labels, latest));
        if let Some(again) = again {
            runs.push(again.run);
            continue;
        }
        let mut intern = |text: &str| Ok(names.intern(text));
        let namespace = namespaces.of(row, &mut intern)?;
        let pod = pods.of(row, &mut intern)?;
        let resource = resources.of(row, &mut intern)?;
        let symbols = Ids::new(namespace.0 as i32, node.0 as i32, resource.0 as i32, NO_ID);
        let known = series.by_symbol.again(pod.0 as i32, symbols, |latest| has_labels(&labels, latest));
        let latest = match known {
            Some(known) => known,
            None => {
                // Pods on no node are left out before anybody reads their labels (SPEC 2.5).
                let text = view.labels.get(row).filter(|_| is_named(names, node));
                let (number, set) = match text {
                    Some(text) => {
                        let number = labels.number(text, |text| parse(context, "pod_labels", text, row))?;
                        (number, labels.set(number, names))
                    }
                    None => (Sym::NULL, names.intern("{}")),
                };
                let combination = [namespace, node, pod, resource, set];
                let run = series.of(combination, || group(context, names, usage, mounts, combination));
                series.bind(columns, labels.generation()); // label texts can have been forgotten meanwhile
                let latest = LastRow { ids: symbols, labels: number, run };
                series.by_symbol.remember(pod.0 as i32, latest);
                latest
            }
        };
        series.by_id.remember(pod_ids[row], LastRow { ids, ..latest });
        runs.push(latest.run);
    }
    [namespaces, pods, resources].into_iter().for_each(|column| dictionaries.keep(column));
    Ok(runs)
}

fn is_named(names: &Interner, node: Sym) -> bool {
    names.get(node).is_some_and(|name| !name.is_empty())
}

/// The usage group of a new combination, whose mount is noted.
fn group(
    context: &Context<'_>,
    names: &Interner,
    usage: &mut Table<3, PodSums>,
    mounts: &mut Table<4, Mount>,
    [namespace, node, pod, resource, set]: [Sym; 5],
) -> Option<u32> {
    // NULL never matches a volume's pod or namespace (SPEC 2.6).
    if context.config.storage() && !namespace.is_null() && !pod.is_null() {
        // Hourly rows of one label set are one daily row, which has the largest resource id (docs/spec.md 1.5).
        let daily_row = if context.kind.derives_daily() { set } else { resource };
        let mount = mounts.group([namespace, pod, node, daily_row]);
        let mount = mounts.value_mut(mount);
        mount.resource_id = names.max(mount.resource_id, resource);
    }
    if !is_named(names, node) {
        return None;
    }
    let group = usage.group([namespace, node, set]);
    let sums = usage.value_mut(group);
    sums.resource_id = names.max(sums.resource_id, resource);
    Some(group as u32)
}

/// The numbers of a batch of which none is missing or odd, as in nearly all: no rule on single values applies.
pub(super) struct Ordinary<'a> {
    metrics: [&'a [f64]; 8],
    /// Whether effective usage, of CPU and of memory, has no column: it is then the larger of usage and request.
    derived: [bool; 2],
    /// Cores and bytes of the node.
    capacity: [&'a [f64]; 2],
}

impl<'a> Ordinary<'a> {
    pub(super) fn of(view: &'a PodView) -> Option<Self> {
        let derived = EFFECTIVE.map(|[_, _, effective]| view.metrics[effective].is_all_null());
        let mut metrics = [&[][..]; 8];
        for (values, column) in metrics.iter_mut().zip(&view.metrics) {
            *values = column.ordinary().unwrap_or_default();
        }
        for ([usage, _, effective], derived) in EFFECTIVE.into_iter().zip(derived) {
            if derived {
                metrics[effective] = metrics[usage]; // takes no part
            }
        }
        let rows = view.interval_start.len();
        let capacity = [view.capacity[0].ordinary()?, view.capacity[1].ordinary()?];
        let checked = view.capacity[2].ordinary().is_some() && view.capacity[3].ordinary().is_some();
        (checked && metrics.iter().all(|values| values.len() == rows)).then_some(Self {
            metrics,
            derived,
            capacity,
        })
    }

    #[inline(always)]
    fn add(
        &self,
        context: &Context<'_>,
        row: usize,
        run: &mut RowRun,
        usage: &mut Table<3, PodSums>,
    ) -> Result<()> {
        let value = |metric: usize| self.metrics[metric][row];
        let effective = |of: usize| {
            let [usage, request, effective] = EFFECTIVE[of];
            if self.derived[of] { value(usage).max(value(request)) } else { value(effective) }
        };
        let metrics =
            [value(0), value(1), effective(0), value(3), value(4), value(5), effective(1), value(7)];
        let node = [self.capacity[0][row], self.capacity[1][row]];
        match run.add(metrics, node, usage)? {
            Some(metric) => Err(refuse_number(context, row, POD_METRICS[metric], metrics[metric])),
            None => Ok(()),
        }
    }
}

fn add_row(context: &Context<'_>, view: &PodView, row: usize, sums: &mut PodSums) -> Result<()> {
    sums.rows += 1;
    let mut values = [None; 8];
    for (value, column) in values.iter_mut().zip(&view.metrics) {
        *value = metric(context, column, row);
    }
    for [usage, request, effective] in EFFECTIVE {
        // PostgreSQL's greatest passes over NULL (SPEC 2.5).
        values[effective] = values[effective].or(match (values[usage], values[request]) {
            (Some(usage), Some(request)) => Some(usage.max(request)),
            (usage, request) => usage.or(request),
        });
    }
    let derives = context.kind.derives_daily();
    for (metric, value) in values.into_iter().enumerate() {
        let Some(value) = value.or(derives.then_some(0.0)) else { continue };
        if !sums.sums[metric].add(value) {
            return Err(refuse_number(context, row, POD_METRICS[metric], value));
        }
        sums.present |= 1 << metric;
    }
    for (column, max, name) in [
        (&view.capacity[0], &mut sums.cores, CAPACITY_NUMBERS[0]),
        (&view.capacity[1], &mut sums.memory_bytes, CAPACITY_NUMBERS[1]),
    ] {
        if let Some(value) = metric(context, column, row) {
            max.add(finite(context, row, name, value)?);
        }
    }
    Ok(())
}

/// A row's value. pandas took NaN for missing when hourly rows were added up (SPEC 1.5).
pub(super) fn metric(context: &Context<'_>, column: &NumberColumn, row: usize) -> Option<f64> {
    column.get(row).filter(|value| {
        context.kind == FactKind::PodDaily || context.kind == FactKind::StorageDaily || !value.is_nan()
    })
}

pub(super) fn finite(context: &Context<'_>, row: usize, name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(refuse_number(context, row, name, value)) }
}

pub(super) fn refuse_number(context: &Context<'_>, row: usize, name: &'static str, value: f64) -> Error {
    if value.is_finite() && value.abs() < 2f64.powi(101) {
        return Error::Overflow { what: format!("{}, column {name}", context.at) };
    }
    context.refuse(row, name, format!("{value} is no usage; correct the file"))
}

/// The largest capacity of every node and interval (SPEC 2.4), nodes without a name included.
fn fold_capacity(
    context: &Context<'_>,
    view: &PodView,
    rows: &[u32],
    nodes: &[Sym],
    state: &mut DayState,
) -> Result<()> {
    let midnight = context.day.start_millis();
    let ordinary = view.capacity[2].ordinary().zip(view.capacity[3].ordinary());
    // Consecutive rows mostly report the same interval of few nodes.
    let mut latest = Latest::default();
    for (&row, &node) in rows.iter().zip(nodes) {
        let row = row as usize;
        let Some(millis) = view.interval_start.get(row) else { continue };
        let of_day = (millis - midnight) as u32;
        let group = latest.group(node, &mut state.capacity, DayState::capacity_key(of_day, node));
        let largest = state.capacity.value_mut(group);
        if let Some((cpu, memory)) = ordinary {
            largest.cpu.add(cpu[row]);
            largest.memory.add(memory[row]);
            continue;
        }
        if let Some(value) = metric(context, &view.capacity[2], row) {
            largest.cpu.add(finite(context, row, CAPACITY_NUMBERS[2], value)?);
        }
        if let Some(value) = metric(context, &view.capacity[3], row) {
            largest.memory.add(finite(context, row, CAPACITY_NUMBERS[3], value)?);
        }
    }
    Ok(())
}

//! Pod rows: usage sums, node capacity per interval, and which pod ran on which node.

use super::Context;
use super::labels::canonical;
use super::symbols::{Latest, Memo};
use crate::error::{Error, Result};
use crate::intern::Sym;
use crate::schema::{ANOMALY, CAPACITY_NUMBERS, FactKind, NumberColumn, POD_METRICS, PodView};
use crate::state::{DayState, Member, PodSums, RowCounts, Table};

/// Positions in [`POD_METRICS`] of usage, request and effective usage, for CPU and for memory.
const EFFECTIVE: [[usize; 3]; 2] = [[0, 1, 2], [4, 5, 6]];

/// The usage group of every combination of namespace, node, pod, resource and labels met in this
/// chunk: one look-up per row instead of one per table.
#[derive(Debug, Default)]
pub(super) struct Series {
    known: Table<5, Member>,
    groups: Vec<u32>,
    latest: Latest,
}

/// The group of combinations that belong to no node.
const NO_GROUP: u32 = u32::MAX;

impl Series {
    /// Where a combination is known, and in `groups` unless it is new.
    #[inline]
    fn of(&mut self, combination: [Sym; 5]) -> usize {
        let pod = combination[2];
        let latest = self.latest.get(pod);
        let known = self.known.group_near(latest as usize, combination);
        if known as u32 != latest {
            self.latest.set(pod, known as u32);
        }
        known
    }

    pub(super) fn memory_size(&self) -> usize {
        self.known.memory_size() + self.groups.capacity() * size_of::<u32>() + self.latest.memory_size()
    }
}

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
    state: &mut DayState,
    series: &mut Series,
    memo: &mut Memo,
    counts: &mut RowCounts,
) -> Result<()> {
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
    let names = &mut state.names;
    let mut plain =
        |name, column| memo.dictionaries.symbols(day, name, column, rows, |text, _| Ok(names.intern(text)));
    let namespaces = plain("namespace", &view.namespace)?;
    let pods = plain("pod", &view.pod)?;
    let resources = plain("resource_id", &view.resource_id)?;
    let labels = canonical(context, "pod_labels", &view.labels, rows, &pods, names, memo)?;
    let empty = names.intern("");
    let ordinary = Ordinary::of(view);
    for (at, &row) in rows.iter().enumerate() {
        let (namespace, node, pod, resource) = (namespaces[at], nodes[at], pods[at], resources[at]);
        let known = series.of([namespace, node, pod, resource, labels[at]]);
        if known == series.groups.len() {
            // NULL never matches a volume's pod or namespace (SPEC 2.6).
            if context.config.storage() && !namespace.is_null() && !pod.is_null() {
                state.mounts.group([namespace, pod, node, resource]);
            }
            let mut group = NO_GROUP;
            if !node.is_null() && node != empty {
                group = state.usage.group([namespace, node, labels[at]]) as u32;
                let sums = state.usage.value_mut(group as usize);
                sums.resource_id = state.names.max(sums.resource_id, resource);
            }
            series.groups.push(group);
        }
        let group = series.groups[known];
        if group == NO_GROUP {
            counts.no_node += 1;
            continue;
        }
        counts.aggregated += 1;
        let (row, sums) = (row as usize, state.usage.value_mut(group as usize));
        match &ordinary {
            Some(ordinary) => ordinary.add(context, row, sums)?,
            None => add_row(context, view, row, sums)?,
        }
    }
    Ok(())
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
    fn add(&self, context: &Context<'_>, row: usize, sums: &mut PodSums) -> Result<()> {
        let value = |metric: usize| self.metrics[metric][row];
        let effective = |[usage, request, effective]: [usize; 3], derived| {
            if derived { value(usage).max(value(request)) } else { value(effective) }
        };
        let [cpu, memory] = [0, 1].map(|of| effective(EFFECTIVE[of], self.derived[of]));
        let values = [value(0), value(1), cpu, value(3), value(4), value(5), memory, value(7)];
        let mut fits = true;
        for metric in 0..8 {
            fits &= sums.sums[metric].add(values[metric]);
        }
        if !fits {
            return Err(refuse_number(context, row, POD_METRICS[0], values[0]));
        }
        sums.present = u8::MAX;
        sums.rows += 1;
        sums.cores.add(self.capacity[0][row]);
        sums.memory_bytes.add(self.capacity[1][row]);
        Ok(())
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
    context.refuse(row, name, format!("{value} is no usage; correct the file or drop it from the input"))
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
    // Consecutive rows mostly report the same interval of few nodes: remember each node's latest group.
    let mut latest: Vec<(u32, usize)> = Vec::new();
    for (&row, &node) in rows.iter().zip(nodes) {
        let row = row as usize;
        let Some(millis) = view.interval_start.get(row) else { continue };
        let of_day = (millis - midnight) as u32;
        let slot = if node.is_null() { 0 } else { node.0 as usize + 1 };
        if slot >= latest.len() {
            latest.resize(slot + 1, (u32::MAX, 0));
        }
        if latest[slot].0 != of_day {
            latest[slot] = (of_day, state.capacity.group(DayState::capacity_key(of_day, node)));
        }
        let largest = state.capacity.value_mut(latest[slot].1);
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

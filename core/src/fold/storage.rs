//! Storage rows: what each pod reports of each claim.

use super::labels::{canonical, replaced};
use super::pod::{finite, metric, refuse_number};
use super::symbols::Memo;
use super::{Context, OpenDay};
use crate::error::Result;
use crate::intern::Sym;
use crate::schema::{ANOMALY, STORAGE_SUMS, StorageView};
use crate::state::RowCounts;

const IDENTITY: [&str; 6] =
    ["namespace", "pod", "persistentvolumeclaim", "persistentvolume", "storageclass", "csi_volume_handle"];
const LABELS: [&str; 2] = ["persistentvolume_labels", "persistentvolumeclaim_labels"];

/// Positions in [`IDENTITY`] of what [`LABELS`] are the labels of.
const OWNERS: [usize; 2] = [3, 2];

/// Whether one of the four metrics is absurd (SPEC 1.6).
pub(super) fn is_anomalous(view: &StorageView, row: usize) -> bool {
    view.sums
        .iter()
        .chain([&view.capacity_bytes])
        .any(|column| column.get(row).is_some_and(|value| value > ANOMALY))
}

pub(super) fn fold(
    context: &Context<'_>,
    view: &StorageView,
    rows: &[u32],
    open: &mut OpenDay,
    memo: &mut Memo,
    counts: &mut RowCounts,
) -> Result<()> {
    let OpenDay { state, claims, .. } = open;
    let names = &mut state.names;
    let mut columns: Vec<Vec<Sym>> = Vec::with_capacity(8);
    for (name, column) in IDENTITY.into_iter().zip(&view.identity) {
        columns.push(
            memo.dictionaries.symbols(context.day, name, column, rows, |text, _| Ok(names.intern(text)))?,
        );
    }
    for ((name, column), owner) in LABELS.into_iter().zip(&view.labels).zip(OWNERS) {
        columns.push(canonical(context, name, column, rows, &columns[owner], names, memo)?);
        counts.malformed_labels += replaced(context, column, rows.iter().copied());
    }
    let derives = context.kind.derives_daily();
    for (at, &row) in rows.iter().enumerate() {
        let row = row as usize;
        let key = std::array::from_fn(|part| columns[part][at]);
        let group = claims.group(columns[2][at], &mut state.volumes, key);
        let sums = state.volumes.value_mut(group);
        sums.rows += 1;
        for (position, column) in view.sums.iter().enumerate() {
            let Some(value) = metric(context, column, row).or(derives.then_some(0.0)) else { continue };
            if !sums.sums[position].add(value) {
                return Err(refuse_number(context, row, STORAGE_SUMS[position], value));
            }
            sums.present |= 1 << position;
        }
        if let Some(value) = metric(context, &view.capacity_bytes, row) {
            sums.capacity_bytes.add(finite(context, row, "persistentvolumeclaim_capacity_bytes", value)?);
        }
    }
    Ok(())
}

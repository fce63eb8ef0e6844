//! The stored rows of one day, kept as exactly as the table keeps them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray};
use daysum_core::{Result, rows};
use futures::{StreamExt, pin_mut};
use tokio_postgres::{Row, Transaction};

use crate::error::during;
use crate::ident::{Schema, quote};
use crate::ledger::EPOCH_SQL;
use crate::numeric::Scaled;
use crate::scope::DayScope;
use crate::tables::{Kind, SUMMARISED, SUMMARY, replaced, written};

/// One column of stored values.
#[derive(Debug)]
pub(crate) enum Stored {
    Integer(Vec<Option<i32>>),
    Date(Vec<Option<i32>>),
    Text(Vec<Option<String>>),
    Numeric(Vec<Option<Scaled>>),
}

/// A day as the table has it.
#[derive(Debug)]
pub(crate) struct StoredDay {
    pub(crate) columns: Vec<Stored>,
    pub(crate) rows: usize,
    /// Rows that cost models added; a write of the day would delete them.
    pub(crate) added_by_cost_models: u64,
}

pub(crate) async fn day(tx: &Transaction<'_>, schema: &Schema, scope: &DayScope) -> Result<StoredDay> {
    let during = during("read the rows");
    let DayScope { source, period, day } = scope;
    let table = schema.table(SUMMARY);
    let expressions: Vec<String> = written()
        .iter()
        .map(|(name, kind)| {
            let name = quote(name);
            match kind {
                Kind::Date => format!("({name} - {EPOCH_SQL})::int4"),
                Kind::Jsonb | Kind::Uuid | Kind::Varchar(_) => format!("{name}::text"),
                Kind::Integer | Kind::Numeric => name,
            }
        })
        .collect();
    let sql = format!(
        "SELECT {} FROM {table} WHERE {} AND source_uuid = $3 AND {SUMMARISED}",
        expressions.join(", "),
        replaced()
    );
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [period, &day.0, source];
    let mut columns: Vec<Stored> = written().iter().map(|(_, kind)| Stored::empty(*kind)).collect();
    let mut rows = 0;
    let found = tx.query_raw(&sql, parameters).await.map_err(&during)?;
    pin_mut!(found);
    while let Some(row) = found.next().await {
        let row = row.map_err(&during)?;
        for (index, column) in columns.iter_mut().enumerate() {
            column.push(&row, index).map_err(&during)?;
        }
        rows += 1;
    }
    let others = format!(
        "SELECT count(*) FROM {table} WHERE {} AND NOT (source_uuid = $3 AND {SUMMARISED})",
        replaced()
    );
    let others: i64 = tx.query_one(&others, &parameters).await.map_err(&during)?.get(0);
    Ok(StoredDay { columns, rows, added_by_cost_models: u64::try_from(others).unwrap_or_default() })
}

impl Stored {
    fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integer(Vec::new()),
            Kind::Date => Self::Date(Vec::new()),
            Kind::Numeric => Self::Numeric(Vec::new()),
            Kind::Varchar(_) | Kind::Jsonb | Kind::Uuid => Self::Text(Vec::new()),
        }
    }

    fn push(&mut self, row: &Row, index: usize) -> Result<(), tokio_postgres::Error> {
        match self {
            Self::Integer(values) | Self::Date(values) => values.push(row.try_get(index)?),
            Self::Text(values) => values.push(row.try_get(index)?),
            Self::Numeric(values) => values.push(row.try_get(index)?),
        }
        Ok(())
    }
}

impl StoredDay {
    pub(crate) fn to_batch(&self) -> RecordBatch {
        let columns = self
            .columns
            .iter()
            .map(|column| -> ArrayRef {
                match column {
                    Stored::Integer(values) => Arc::new(Int32Array::from(values.clone())),
                    Stored::Date(values) => Arc::new(Date32Array::from(values.clone())),
                    Stored::Text(values) => {
                        Arc::new(values.iter().map(Option::as_deref).collect::<StringArray>())
                    }
                    Stored::Numeric(values) => Arc::new(
                        values.iter().map(|value| value.map(Scaled::to_f64)).collect::<Float64Array>(),
                    ),
                }
            })
            .collect();
        RecordBatch::try_new(rows::schema(), columns).expect("the columns were made from the same list")
    }
}

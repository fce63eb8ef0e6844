//! Everything around the sink: making and checking a schema, lookups, periods, the registry, reading back.

use arrow::array::RecordBatch;
use daysum_core::port::WriteScope;
use daysum_core::{Day, Error, Lookups, Month, Result};
use tokio_postgres::{IsolationLevel, Transaction};

use crate::check::{self, Problem};
use crate::config::PostgresConfig;
use crate::diff::{self, DayDiff};
use crate::error::{PostgresError, during, refused};
use crate::ident::Schema;
use crate::locks::{lock_ddl, source_of};
use crate::numeric::NumericMode;
use crate::registry::{self, Registry, RegistryChanges};
use crate::session::{Session, begin, transaction_settings};
use crate::{init, lookups, read};

/// One tenant's schema. It connects when it is first used, and again after a lost connection.
#[derive(Debug)]
pub struct Database {
    session: Session,
    schema: Schema,
}

/// Which rows a day has: those that a write of the day would replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayScope {
    /// The provider.
    pub source_uuid: String,
    /// Its report period.
    pub report_period_id: i32,
    /// The day.
    pub day: Day,
}

impl TryFrom<&WriteScope> for DayScope {
    type Error = Error;

    /// Fails where the scope has no report period.
    fn try_from(scope: &WriteScope) -> Result<Self> {
        let report_period_id = scope.report_period_id.ok_or_else(|| {
            let (source_uuid, month) = (scope.source_uuid.clone(), scope.day.month());
            refused(
                format!("read {}", scope.day),
                false,
                PostgresError::NoReportPeriod { source_uuid, month },
            )
        })?;
        Ok(Self { source_uuid: scope.source_uuid.clone(), report_period_id, day: scope.day })
    }
}

impl Database {
    /// A database that connects when it is first used.
    pub fn new(config: PostgresConfig, schema: Schema) -> Self {
        Self { session: Session::new(config), schema }
    }

    /// Makes the schema and every table that is missing: koku's under koku's names, and daysum's own. Running it
    /// again changes nothing.
    pub async fn init(&mut self) -> Result<()> {
        let (schema, timeouts) = (self.schema.clone(), self.session.config.timeouts.clone());
        let client = self.session.client().await?;
        let tx = begin(client).await.map_err(during("create the tables"))?;
        lock_ddl(&tx, &schema, &timeouts).await?;
        init::create(&tx, &schema).await?;
        tx.commit().await.map_err(during("create the tables"))
    }

    /// What is missing or wrong; empty means fit. A missing schema is an error.
    pub async fn check(&mut self) -> Result<Vec<Problem>> {
        let schema = self.schema.clone();
        check::everything(self.session.client().await?, &schema).await
    }

    /// What koku's tables answer for one provider and month. `report_period_id` is `None` where koku has no such
    /// period: nothing can be written without one, and [`ensure_report_period`](Self::ensure_report_period) makes it
    /// (SPEC 3.3).
    pub async fn lookups(&mut self, source_uuid: &str, month: Month) -> Result<Lookups> {
        let (schema, source) = (self.schema.clone(), source_of(source_uuid)?);
        let tx = self.reading("read the lookups").await?;
        lookups::read(&tx, &schema, source, month).await
    }

    /// The provider that the database has a report period for; `None` where it does not know the period.
    pub async fn owner_of_report_period(&mut self, id: i32) -> Result<Option<String>> {
        let schema = self.schema.clone();
        let tx = self.reading("look up the report period").await?;
        Ok(lookups::owner_of_period(&tx, &schema, id).await?.map(|owner| owner.to_string()))
    }

    /// The report period of a provider and month, made where it is missing (SPEC 3.3). For schemas without koku.
    pub async fn ensure_report_period(
        &mut self,
        source_uuid: &str,
        month: Month,
        cluster_id: &str,
        cluster_alias: &str,
    ) -> Result<i32> {
        let (schema, source) = (self.schema.clone(), source_of(source_uuid)?);
        let tx = self.writing("create the report period").await?;
        let id = lookups::ensure_period(&tx, &schema, source, month, cluster_id, cluster_alias).await?;
        tx.commit().await.map_err(during("create the report period"))?;
        Ok(id)
    }

    /// Brings koku's registry tables up to date (SPEC 3.4, step 4). Doing it twice changes nothing.
    pub async fn upsert_registry(&mut self, registry: &Registry) -> Result<RegistryChanges> {
        let schema = self.schema.clone();
        let tx = self.writing("update the registry").await?;
        let changes = registry::upsert(&tx, &schema, registry).await?;
        tx.commit().await.map_err(during("update the registry"))?;
        Ok(changes)
    }

    /// The stored rows of a day in [`rows::schema`](daysum_core::rows::schema), without those that cost models added,
    /// in no particular order.
    pub async fn read_day(&mut self, scope: &DayScope) -> Result<RecordBatch> {
        let schema = self.schema.clone();
        let tx = self.reading("read the rows").await?;
        Ok(read::day(&tx, &schema, scope).await?.to_batch())
    }

    /// What publishing these rows would change, compared as the table stores them: numbers at 15 places,
    /// labels as JSON.
    pub async fn diff_day(
        &mut self,
        scope: &DayScope,
        rows: &[RecordBatch],
        mode: NumericMode,
    ) -> Result<DayDiff> {
        let schema = self.schema.clone();
        let tx = self.reading("read the rows").await?;
        let stored = read::day(&tx, &schema, scope).await?;
        diff::compare(&stored, rows, mode)
    }

    /// A transaction that sees one state of the tables.
    async fn reading(&mut self, operation: &str) -> Result<Transaction<'_>> {
        let settings = transaction_settings(&self.session.config.timeouts);
        let client = self.session.client().await?;
        let tx = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(during(operation))?;
        tx.batch_execute(&settings).await.map_err(during(operation))?;
        Ok(tx)
    }

    async fn writing(&mut self, operation: &str) -> Result<Transaction<'_>> {
        let settings = transaction_settings(&self.session.config.timeouts);
        let tx = begin(self.session.client().await?).await.map_err(during(operation))?;
        tx.batch_execute(&settings).await.map_err(during(operation))?;
        Ok(tx)
    }
}

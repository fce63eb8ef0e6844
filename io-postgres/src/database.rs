//! Everything around the sink: making and checking a schema, lookups, periods, the registry, reading back.

use arrow::array::RecordBatch;
use daysum_core::{Lookups, Month, Result};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::check::{self, Problem};
use crate::config::PostgresConfig;
use crate::diff::{self, DayDiff};
use crate::error::during;
use crate::ident::Schema;
use crate::locks::lock_ddl;
use crate::numeric::NumericMode;
use crate::registry::{self, Registry, RegistryChanges};
use crate::scope::{DayScope, source_of};
use crate::session::{Session, begin, transaction_settings};
use crate::{init, lookups, read};

/// One tenant's schema. It connects when it is first used, and again after a lost connection.
#[derive(Debug)]
pub struct Database {
    session: Session,
    schema: Schema,
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

    /// Refuses a schema that no day can be written to, with all that it lacks for that.
    pub async fn require_fit(&mut self) -> Result<()> {
        let schema = &self.schema;
        let check = async |client: &mut Client| check::target(client, schema).await;
        self.session.ask("check the tables", check).await
    }

    /// What koku's tables answer for one provider and month. `report_period_id` is `None` where koku has no such
    /// period: nothing can be written without one, and [`ensure_report_period`](Self::ensure_report_period) makes it
    /// (SPEC 3.3).
    pub async fn lookups(&mut self, source_uuid: &str, month: Month) -> Result<Lookups> {
        let (schema, source) = (self.schema.clone(), source_of(source_uuid)?);
        let read = async |tx: &Transaction<'_>| lookups::read(tx, &schema, source, month).await;
        self.reading("read the lookups", read).await
    }

    /// The provider that the database has a report period for; `None` where it does not know the period.
    pub async fn owner_of_report_period(&mut self, id: i32) -> Result<Option<String>> {
        let schema = self.schema.clone();
        let read = async |tx: &Transaction<'_>| lookups::owner_of_period(tx, &schema, id).await;
        let owner = self.reading("look up the report period", read).await?;
        Ok(owner.map(|owner| owner.to_string()))
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
        let ensure = async |tx: &Transaction<'_>| {
            lookups::ensure_period(tx, &schema, source, month, cluster_id, cluster_alias).await
        };
        self.writing("create the report period", ensure).await
    }

    /// Brings koku's registry tables up to date (SPEC 3.4, step 4). Doing it twice changes nothing.
    pub async fn upsert_registry(&mut self, registry: &Registry) -> Result<RegistryChanges> {
        let schema = self.schema.clone();
        let upsert = async |tx: &Transaction<'_>| registry::upsert(tx, &schema, registry).await;
        self.writing("update the registry", upsert).await
    }

    /// The stored rows of a day in [`rows::schema`](daysum_core::rows::schema), without those that cost models added,
    /// in no particular order.
    pub async fn read_day(&mut self, scope: &DayScope) -> Result<RecordBatch> {
        let schema = self.schema.clone();
        let read = async |tx: &Transaction<'_>| read::day(tx, &schema, scope).await;
        Ok(self.reading("read the rows", read).await?.to_batch())
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
        let read = async |tx: &Transaction<'_>| read::day(tx, &schema, scope).await;
        diff::compare(&self.reading("read the rows", read).await?, rows, mode)
    }

    /// One exchange in a transaction that sees one state of the tables, tried again as configured.
    async fn reading<T>(
        &mut self,
        operation: &str,
        exchange: impl AsyncFn(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let settings = transaction_settings(&self.session.config.timeouts);
        let ask = async |client: &mut Client| {
            let begun = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
            let tx = begun.read_only(true).start().await.map_err(during(operation))?;
            tx.batch_execute(&settings).await.map_err(during(operation))?;
            exchange(&tx).await
        };
        self.session.ask(operation, ask).await
    }

    /// The same for one that writes what may be written twice.
    async fn writing<T>(
        &mut self,
        operation: &str,
        exchange: impl AsyncFn(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let settings = transaction_settings(&self.session.config.timeouts);
        let ask = async |client: &mut Client| {
            let tx = begin(client).await.map_err(during(operation))?;
            tx.batch_execute(&settings).await.map_err(during(operation))?;
            let written = exchange(&tx).await?;
            tx.commit().await.map_err(during(operation))?;
            Ok(written)
        };
        self.session.ask(operation, ask).await
    }
}

//! Advisory locks: who waits for whom.

use daysum_core::{Month, Result};
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, Transaction};

use crate::config::Timeouts;
use crate::error::{during, port};
use crate::ident::Schema;
use crate::scope::DayScope;
use crate::session::{begin, transaction_settings};

/// Writers of one month share the month's lock and exclude each other by day: days of one month do not wait
/// for each other, and whoever wants the month for itself can take it.
///
/// What a write deletes goes by report period, so sources that were given the same one exclude each other, too: the rows
/// of another source, on which a day is held back, must not appear between the look for them and the delete.
pub(crate) async fn lock_day(
    tx: &Transaction<'_>,
    schema: &Schema,
    DayScope { source, period, day }: DayScope,
) -> Result<(), tokio_postgres::Error> {
    let month: Month = day.month();
    let month = lock_key(&[schema.name(), &source.to_string(), &month.to_string()]);
    let of_period = lock_key(&[schema.name(), "period", &period.to_string(), &day.to_string()]);
    let day = lock_key(&[schema.name(), &source.to_string(), &day.to_string()]);
    tx.query_one("SELECT pg_advisory_xact_lock_shared($1)", &[&month]).await?;
    tx.query_one("SELECT pg_advisory_xact_lock($1)", &[&day]).await?;
    tx.query_one("SELECT pg_advisory_xact_lock($1)", &[&of_period]).await?;
    Ok(())
}

/// Makers of tables and partitions of one schema wait for each other.
pub(crate) async fn lock_ddl(tx: &Transaction<'_>, schema: &Schema, timeouts: &Timeouts) -> Result<()> {
    let locked = async {
        tx.batch_execute(&transaction_settings(timeouts)).await?;
        tx.query_one("SELECT pg_advisory_xact_lock($1)", &[&lock_key(&[schema.name(), "tables"])]).await
    };
    locked.await.map(drop).map_err(|error| port("wait for other makers of tables", &error))
}

/// Makes a table of daysum's own, unless somebody else has made it meanwhile.
pub(crate) async fn make_table(
    client: &mut Client,
    schema: &Schema,
    timeouts: &Timeouts,
    operation: &str,
    create: &str,
) -> Result<()> {
    let tx = begin(client).await.map_err(during(operation))?;
    lock_ddl(&tx, schema, timeouts).await?;
    tx.batch_execute(create).await.map_err(during(operation))?;
    tx.commit().await.map_err(during(operation))
}

/// A lock's number. It never changes between versions: an old and a new daysum must exclude each other.
fn lock_key(parts: &[&str]) -> i64 {
    let mut hash = Sha256::new();
    hash.update(b"daysum\0");
    for part in parts {
        hash.update(part.as_bytes());
        hash.update(b"\0");
    }
    let digest = hash.finalize();
    i64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_numbers_stay_what_they_were() {
        assert_eq!(
            lock_key(&["org1234567", "fa4238b2-62ad-5c41-8747-6ee200183c54", "2025-02"]),
            LOCK_FIXTURE
        );
        assert_ne!(lock_key(&["a", "bc"]), lock_key(&["ab", "c"]));
    }
    const LOCK_FIXTURE: i64 = -1_262_127_902_460_118_399;
}

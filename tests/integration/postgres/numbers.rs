//! numeric(33,15) against PostgreSQL's own arithmetic (T-36, case 70).

use daysum_io_postgres::{NumericMode, PostgresSink, SinkOptions};
use daysum_tests::postgres::{database, shared};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{SOURCE, SUMMARY, build, config, publish, schema, scope};

const DAY: &str = "2025-02-01";

/// Values of every size that the column holds, among them ties at 15 places and at 15 digits.
fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("within the column", |value| value.abs() < 9e17),
        (-1e17..1e17_f64),
        (-1.0..1.0_f64),
        (any::<i32>(), 0_i32..60).prop_map(|(digits, shift)| f64::from(digits) * 2_f64.powi(-shift)),
        (1_u64..1 << 53, -20_i32..3).prop_map(|(digits, power)| digits as f64 * 10_f64.powi(power)),
        (100_000_000_000_000_u64..4_503_599_627_370_496).prop_map(|whole| whole as f64 + 0.5),
        (0_u32..10_000).prop_map(|digits| f64::from(digits) * 0.5e-15),
        Just(-0.0),
        Just(5e-324),
    ]
}

/// PostgreSQL prints the shortest decimal that reads back, and its nearest with the even digit where two are as near
/// (Rust's own formatter takes the upper one). Beyond 2^53 PostgreSQL takes no decimal that lies exactly between
/// two doubles, though it would read back; there Rust's formatter is the reference.
const SHORTEST: &str = "(CASE WHEN abs(given) < 2 ^ 53 THEN given::text ELSE shortest END)::numeric(33,15)";

#[tokio::test]
async fn stored_numbers_are_those_of_postgresql() {
    let mut runner = TestRunner::deterministic();
    let sample = values();
    let count = 4000;
    let column = daysum_core::rows::schema().index_of("pod_usage_cpu_core_hours").expect("a column");
    let numbers: Vec<f64> =
        (0..count).map(|_| sample.new_tree(&mut runner).expect("a value").current()).collect();
    let text = |name: &str, row: u32| match name {
        "source_uuid" => Some(SOURCE.to_owned()),
        "node" => Some(row.to_string()),
        _ => None,
    };
    let batch = build(DAY, count, text, |index, row| (index == column).then(|| numbers[row as usize]));
    for (mode, cast) in
        [(NumericMode::Shortest, SHORTEST), (NumericMode::FifteenDigits, "given::numeric(33,15)")]
    {
        let name = database();
        let mut sink = PostgresSink::new(
            config(&name),
            schema(),
            SinkOptions { numeric: mode, ..SinkOptions::default() },
        );
        publish(&mut sink, &scope(DAY, "r"), &batch).await.expect("published");
        shared().sql(&name, "CREATE TABLE given (row int, given float8, shortest text)");
        for chunk in numbers.iter().enumerate().collect::<Vec<_>>().chunks(500) {
            let rows: Vec<String> =
                chunk.iter().map(|(row, value)| format!("({row}, '{value:e}', '{value:e}')")).collect();
            shared().sql(&name, &format!("INSERT INTO given VALUES {}", rows.join(",")));
        }
        let wrong = shared().sql(
            &name,
            &format!(
                "SELECT given, pod_usage_cpu_core_hours, {cast} FROM given JOIN {SUMMARY} ON node = row::text \
                 WHERE pod_usage_cpu_core_hours IS DISTINCT FROM {cast} LIMIT 5"
            ),
        );
        assert_eq!(wrong, "", "{mode:?}");
        let joined =
            shared().sql(&name, &format!("SELECT count(*) FROM given JOIN {SUMMARY} ON node = row::text"));
        assert_eq!(joined, count.to_string());
    }
}

#[tokio::test]
async fn the_two_modes_store_what_spec_case_70_says() {
    let name = database();
    for (mode, expected) in [
        (NumericMode::Shortest, "1234.567890123456700"),
        (NumericMode::FifteenDigits, "1234.567890123460000"),
    ] {
        let text = |name: &str, _| (name == "source_uuid").then(|| SOURCE.to_owned());
        let batch = build(DAY, 1, text, |_, _| Some(1_234.567_890_123_456_7));
        let mut sink = PostgresSink::new(
            config(&name),
            schema(),
            SinkOptions { numeric: mode, ..SinkOptions::default() },
        );
        // The digest is the same for both, and still the second replaces the first.
        let receipt = publish(&mut sink, &scope(DAY, "r"), &batch).await.expect("published");
        assert!(!receipt.unchanged);
        let stored = shared().sql(&name, &format!("SELECT node_capacity_cpu_cores FROM {SUMMARY}"));
        assert_eq!(stored, expected);
    }
}

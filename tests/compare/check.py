"""Says where two summaries differ: as multisets of rows, labels as JSON, numbers to a relative 1e-9.

An unallocated row is a difference of two large numbers: there the tolerance is relative to the node's capacity.
"""

import argparse
import pathlib
import sys

import duckdb

TOLERANCE = 1e-9
SHOWN = 5

# Whole summaries are compared with everything, partial ones with the rows they promise.
ROWS = {
    "all": "true",
    "pods": "data_source = 'Pod' AND infrastructure_usage_cost IS NOT NULL",
}


def files(directory):
    """The Parquet files below, as SQL. Not the ledgers and quarantines daysum keeps beside them."""
    found = sorted(str(file) for file in pathlib.Path(directory).rglob("*.parquet"))
    if not found:
        raise SystemExit(f"no Parquet files in {directory}")
    return f"read_parquet({found}, hive_partitioning = false)"


def capacity_of(column):
    """What an unallocated number was subtracted from."""
    return "node_capacity_cpu_core_hours" if column.endswith("core_hours") else "node_capacity_memory_gigabyte_hours"


def same_number(column):
    is_unallocated = "e.data_source = 'Pod' AND e.infrastructure_usage_cost IS NULL"
    size = f"greatest(abs(e.{column}), abs(a.{column}))"
    if column.startswith("pod_"):
        size = f"greatest({size}, CASE WHEN {is_unallocated} THEN e.{capacity_of(column)} END)"
    return (
        f"(CASE WHEN e.{column} IS NULL OR a.{column} IS NULL THEN e.{column} IS NULL AND a.{column} IS NULL"
        f" ELSE abs(e.{column} - a.{column}) <= {TOLERANCE} * {size} END)"
    )


def differences(expected, actual, rows="all", threads=2):
    """How many rows were expected, and up to SHOWN pairs of rows that differ (None: there is no such row)."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    columns = connection.execute(f"DESCRIBE SELECT * FROM {files(expected)}").fetchall()
    types = {name: kind for name, kind, *_ in columns}
    found = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {files(actual)}").fetchall()}
    if types != found:
        raise SystemExit(f"{actual}: columns differ: {sorted(set(types.items()) ^ set(found.items()))}")
    numbers = [name for name, kind in types.items() if kind == "DOUBLE"]
    text = [name for name in types if name not in numbers]
    fill = {
        "expected": f"SELECT {', '.join(types)} FROM {files(expected)} WHERE {ROWS[rows]}",
        "actual": f"SELECT {', '.join(types)} FROM {files(actual)}",
        "text": ", ".join(text),
        "numbers": ", ".join(numbers),
        "same_text": " AND ".join(f"e.{name} IS NOT DISTINCT FROM a.{name}" for name in text),
        "same_numbers": " AND ".join(same_number(name) for name in numbers),
    }
    script = (pathlib.Path(__file__).parent / "sql" / "check.sql").read_text()
    for name, value in fill.items():
        script = script.replace("{" + name + "}", value)
    connection.execute(script)
    count = connection.execute("SELECT count(*) FROM expected").fetchone()[0]
    total = connection.execute("SELECT count(*) FROM differences").fetchone()[0]
    return count, total, connection.execute(f"SELECT expected, actual FROM differences LIMIT {SHOWN}").fetchall()


def describe(pairs):
    """The pairs as text: only what differs, and enough to find the row."""
    lines = []
    for expected, actual in pairs:
        row = expected if expected and expected["copy"] else actual
        is_there = [bool(side and side["copy"]) for side in (expected, actual)]
        where = {name: row[name] for name in ("data_source", "usage_start", "namespace", "node", "all_labels")}
        lines.append(f"  {where}")
        if not all(is_there):
            lines.append(f"    only in {'daysum' if is_there[0] else 'the contender'}: {row}")
            continue
        for name, value in expected.items():
            if value != actual[name]:
                lines.append(f"    {name}: daysum {value!r}, contender {actual[name]!r}")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("expected", help="directory with daysum's Parquet files")
    arguments.add_argument("actual", help="directory with a contender's")
    arguments.add_argument("--rows", choices=ROWS, default="all")
    arguments.add_argument("--threads", type=int, default=2)
    given = arguments.parse_args()
    count, different, pairs = differences(given.expected, given.actual, given.rows, given.threads)
    if different:
        print(f"{different} of {count} rows differ, the first of them:\n{describe(pairs)}")
        return 1
    print(f"{count} rows, all equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())

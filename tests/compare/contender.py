"""Runs one contender once, in this process: compare.py starts it, measures it from outside and throws it away.

    python contender.py duckdb-best --data DIR --threads 2 --output DIR
"""

import argparse
import os
import pathlib

SQL = pathlib.Path(__file__).parent / "sql"

# Each contender's SQL files, in order. They leave a view or a table behind: what is written.
SCRIPTS = {
    "duckdb-best": (
        ["setup", "capacity", "best_pods", "best_rest", "unallocated", "summary_pods", "summary"],
        "summary",
    ),
    "duckdb-koku": (["setup", "capacity", "koku", "unallocated", "summary_pods", "summary"], "summary"),
    "duckdb-pods": (["setup", "capacity", "best_pods", "summary_pods"], "pod_summary"),
}


def run_duckdb(name, data, threads, output):
    import duckdb

    scripts, result = SCRIPTS[name]
    connection = duckdb.connect()
    for script in scripts:
        text = (SQL / f"{script}.sql").read_text()
        connection.execute(text.replace("{data}", str(data)).replace("{threads}", str(threads)))
    if output:
        # A COPY per day takes little more than half the time of one COPY with PARTITION_BY.
        output.mkdir()
        for (day,) in connection.execute(f"SELECT DISTINCT usage_start FROM {result} ORDER BY 1").fetchall():
            rows = f"SELECT * FROM {result} WHERE usage_start = '{day}'"
            connection.execute(f"COPY ({rows}) TO '{output}/{day}.parquet' (FORMAT parquet)")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("name", choices=[*SCRIPTS, "polars"])
    arguments.add_argument("--data", type=pathlib.Path, required=True)
    arguments.add_argument("--threads", type=int, required=True)
    arguments.add_argument("--output", type=pathlib.Path)
    given = arguments.parse_args()
    if given.name == "polars":
        os.environ["POLARS_MAX_THREADS"] = str(given.threads)  # read once, by the import
        import polars_summary

        polars_summary.run(given.data, given.output)
    else:
        run_duckdb(given.name, given.data, given.threads, given.output)


if __name__ == "__main__":
    main()

"""Compares `daysum run` with DuckDB and Polars on the same files: first the rows, then time and memory.

    python compare.py --daysum ../../target/release/daysum --rows 1m

README.md says what each contender does and what it leaves out.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent

# Name: the rows it promises (check.py), and what it is. The first is what the others are compared with.
CONTENDERS = {
    "daysum": ("all", "`daysum run`"),
    "duckdb-best": ("all", "the same job, best hand-written SQL"),
    "duckdb-koku": ("all", "the same job, SQL in koku's shape"),
    "polars": ("all", "the same job, lazy frames, streaming engine"),
    "duckdb-pods": ("pods", "**partial**: pods and capacity only, nothing written"),
}


class Failed(Exception):
    """A process that ended badly, with what it said."""


def command(name, given, data, output):
    """The command of one run; `output` is where rows are written, None for nowhere."""
    if name == "daysum":
        lookups = data / "lookups.json"
        return [given.daysum, "run", data, "--lookups", lookups, "--output", output, "--format", "parquet",
                "--threads", given.threads]  # fmt: skip
    written = ["--output", output] if output else []
    return [sys.executable, HERE / "contender.py", name, "--data", data, "--threads", given.threads, *written]


def measure(arguments):
    """Runs a process to its end: seconds, CPU seconds and peak resident bytes, as the kernel counted them.

    The kernel starts a child's peak at what its parent holds when it is started. That is why this process stays small,
    and the checks run in processes of their own.
    """
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        child = subprocess.Popen([str(part) for part in arguments], stdout=subprocess.DEVNULL, stderr=said)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            raise
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            said.seek(0)
            text = said.read().decode(errors="replace")
            raise Failed(f"{' '.join(map(str, arguments))}\nended with {child.returncode}\n{text[-4000:]}")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }


def once(name, given, data, work, writes):
    """One run into a directory that is gone afterwards."""
    output = work / "output"
    try:
        return measure(command(name, given, data, output if writes else None))
    finally:
        shutil.rmtree(output, ignore_errors=True)


def check(name, given, data, work, expected):
    """Runs a contender and compares its rows with daysum's. Whether they are equal."""
    actual = work / "actual"
    measure(command(name, given, data, actual))
    rows, _ = CONTENDERS[name]
    arguments = [sys.executable, HERE / "check.py", expected, actual, "--rows", rows, "--threads", given.threads]
    found = subprocess.run([str(part) for part in arguments], capture_output=True, text=True)
    print(f"{name}: {found.stdout.strip() or found.stderr.strip()}", file=sys.stderr, flush=True)
    shutil.rmtree(actual)
    return found.returncode == 0


def table(names, runs):
    """The measured numbers as Markdown."""
    lines = [
        "| | median s | min | max | CPU s | peak MB | time / daysum | memory / daysum | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def median(name, what):
        return statistics.median(run[what] for run in runs[name])

    for name in names:
        seconds = [run["seconds"] for run in runs[name]]
        numbers = [
            f"{statistics.median(seconds):.2f}", f"{min(seconds):.2f}", f"{max(seconds):.2f}",
            f"{median(name, 'cpu_seconds'):.2f}", f"{median(name, 'peak_rss_bytes') / 1e6:,.0f}",
            f"{median(name, 'seconds') / median('daysum', 'seconds'):.2f}",
            f"{median(name, 'peak_rss_bytes') / median('daysum', 'peak_rss_bytes'):.2f}",
        ]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(numbers)} | {CONTENDERS[name][1]} |")
    return "\n".join(lines)


def compare(given, names, work):
    """Checks, then measures in turns. The exit code."""
    data = given.data
    if data is None:
        data = work / "data"
        measure([given.daysum, "generate", "--rows", given.rows, "--output", data])

    expected, report = work / "expected", work / "report.json"
    measure([*command("daysum", given, data, expected), "--report", report])
    counts = json.loads(report.read_text())
    is_equal = [check(name, given, data, work, expected) for name in names if name != "daysum"]
    shutil.rmtree(expected)
    if not all(is_equal):
        print("rows differ: nothing is measured", file=sys.stderr)
        return 1

    runs = {name: [] for name in names}
    for turn in range(given.runs + 1):
        for name in names:
            run = once(name, given, data, work, writes=name != "duckdb-pods")
            said = f"{run['seconds']:.2f} s, CPU {run['cpu_seconds']:.2f} s, {run['peak_rss_bytes'] / 1e6:,.0f} MB"
            print(f"{'warm-up' if turn == 0 else turn} {name}: {said}", file=sys.stderr, flush=True)
            if turn > 0:
                runs[name].append(run)

    sizes = {"rows_in": counts["rows_in"], "rows_out": counts["rows_out"], "bytes_read": counts["bytes_read"]}
    print(f"{sizes['rows_in']:,} rows in, {sizes['rows_out']:,} rows out, {given.threads} threads, {given.runs} runs\n")
    print(table(names, runs))
    if given.json:
        document = {**sizes, "threads": given.threads, "cores": os.cpu_count(), "runs": runs}
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--daysum", type=pathlib.Path, required=True, help="the binary")
    source = arguments.add_mutually_exclusive_group()
    source.add_argument("--data", type=pathlib.Path, help="output of `daysum generate`; otherwise made for this run")
    source.add_argument("--rows", default="1m", help="size of what is made, such as 200k or 10m (default: 1m)")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--only", help=f"contenders, separated by commas, of {', '.join(CONTENDERS)}")
    arguments.add_argument("--json", type=pathlib.Path, help="file for the raw numbers")
    given = arguments.parse_args()
    given.daysum = given.daysum.resolve()
    names = given.only.split(",") if given.only else list(CONTENDERS)
    if unknown := set(names) - set(CONTENDERS):
        arguments.error(f"no such contender: {', '.join(sorted(unknown))}")
    if given.runs < 1:
        arguments.error("--runs must be 1 or more")
    names = ["daysum", *(name for name in names if name != "daysum")]
    with tempfile.TemporaryDirectory(prefix="daysum-compare-") as work:
        try:
            return compare(given, names, pathlib.Path(work))
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())

"""Writes the files of this directory, with pyarrow: the same rows in each codec, in several row groups and pages.

python3 codecs.py
"""

from pathlib import Path

import pyarrow.parquet as parquet

here = Path(__file__).parent
golden = here.parents[2] / "tests/data/golden/gen-small/input/openshift_pod_usage_line_items"
rows = parquet.ParquetFile(sorted(golden.rglob("*.parquet"))[0]).read().slice(0, 300)
for version, codecs in {"1.0": ["gzip", "lz4"], "2.0": ["snappy", "zstd"]}.items():
    for codec in codecs:
        parquet.write_table(
            rows,
            here / f"{codec}.parquet",
            compression=codec,
            data_page_version=version,
            use_dictionary=["namespace", "node", "resource_id", "pod_labels", "interval_start"],
            row_group_size=160,
            data_page_size=1024,
            write_batch_size=64,
        )

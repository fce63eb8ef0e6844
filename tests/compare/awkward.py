"""Copies generated data and puts in what the generator never makes: does every contender treat it as daysum does?

    python awkward.py DATA AWKWARD

Label sets that change within a day, shared and rebound volumes, pods without node or on two nodes, blank and NULL text,
several matching categories, roles that are missing, intervals off the hour, days that are not asked for.
"""

import json
import pathlib
import sys

import duckdb

# Per table: the column whose hash is `n`, and what becomes of columns; `h` is the hour.
CHANGES = {
    "openshift_node_labels_line_items": ("node", {
        "node_labels": """CASE WHEN n % 7 = 0 AND h >= 12
                THEN '{"team": "t\\u00e9 \\"q\\"", "node_role_kubernetes_io": "other", "zzz": "1"}'
            WHEN n % 11 = 0 THEN '' WHEN n % 13 = 0 AND h = 3 THEN NULL
            WHEN n % 5 = 0 AND h = 5 THEN replace(node_labels, ': ', ' : ') ELSE node_labels END""",
    }),
    "openshift_namespace_labels_line_items": ("namespace", {
        "namespace_labels": """CASE WHEN n % 6 = 0 AND h >= 20 
                THEN '{"owner": "ns", "business_unit": "x\\\\y", "node_role_kubernetes_io": "namespace"}'
            WHEN n % 9 = 0 THEN '{}' ELSE namespace_labels END""",
        "namespace": "CASE WHEN n % 17 = 0 AND h < 3 THEN NULL ELSE namespace END",
    }),
    "openshift_pod_usage_line_items": ("pod", {
        "node": """CASE WHEN n % 50 = 0 THEN '' WHEN n % 51 = 0 THEN NULL
            WHEN n % 23 = 0 AND h > 10 THEN 'ip-10-0-0-5.example.internal' ELSE node END""",
        # All day: of a day with two the largest counts (SPEC 1.5), and the contenders take hourly rows for daily ones.
        "resource_id": """CASE WHEN n % 29 = 0 THEN 'i-other' WHEN n % 37 = 0 THEN NULL
            ELSE resource_id END""",
        "namespace": """CASE WHEN n % 41 = 0 THEN NULL WHEN n % 43 = 0 THEN ''
            WHEN n % 47 = 0 THEN 'Worker unallocated' WHEN n % 53 = 0 THEN 'kube_x' ELSE namespace END""",
        "pod_labels": """CASE WHEN n % 31 = 0 THEN NULL WHEN n % 33 = 0 THEN ' '
            WHEN n % 35 = 0 AND h = 2 THEN '{"zzz": "é", "app": "caf\\u00e9"}'
            WHEN n % 35 = 0 AND h = 3 THEN '{"app": "café"}' ELSE pod_labels END""",
        "pod_usage_cpu_core_seconds": "CASE WHEN n % 19 = 0 THEN NULL ELSE pod_usage_cpu_core_seconds END",
        "pod_effective_usage_cpu_core_seconds":
            "CASE WHEN n % 21 = 0 OR n % 19 = 0 THEN NULL ELSE pod_effective_usage_cpu_core_seconds END",
        "node_capacity_cpu_cores": "CASE WHEN n % 3 = 0 THEN NULL ELSE node_capacity_cpu_cores END",
        "node_capacity_cpu_core_seconds":
            "CASE h WHEN 4 THEN NULL WHEN 5 THEN 2 ELSE 1 END * node_capacity_cpu_core_seconds",
        "interval_start": "interval_start + CASE WHEN n % 60 = 0 THEN INTERVAL 30 SECOND ELSE INTERVAL 0 SECOND END",
    }),
    "openshift_storage_usage_line_items": ("persistentvolumeclaim", {
        "persistentvolume": """CASE WHEN n % 7 = 0 THEN 'shared' WHEN n % 8 = 0 THEN ''
            WHEN n % 9 = 0 AND h > 5 THEN 'rebound' ELSE persistentvolume END""",
        "persistentvolumeclaim": "CASE WHEN n % 15 = 0 THEN NULL ELSE persistentvolumeclaim END",
        "persistentvolumeclaim_labels": """CASE WHEN n % 10 = 0 THEN NULL WHEN n % 11 = 0 THEN ''
            ELSE persistentvolumeclaim_labels END""",
        "csi_volume_handle": "CASE WHEN n % 12 = 0 AND h > 3 THEN NULL ELSE csi_volume_handle END",
        "storageclass": "CASE WHEN n % 14 = 0 THEN NULL ELSE storageclass END",
        "pod": "CASE WHEN n % 16 = 0 THEN '' WHEN n % 18 = 0 THEN NULL ELSE pod END",
        "persistentvolumeclaim_capacity_bytes":
            "CASE WHEN n % 20 = 0 THEN NULL ELSE persistentvolumeclaim_capacity_bytes END",
        "volume_request_storage_byte_seconds":
            "CASE WHEN n % 21 = 0 THEN NULL ELSE volume_request_storage_byte_seconds END",
    }),
}  # fmt: skip


def change_lookups(lookups):
    """Several categories for a namespace, a role of a node's other machine, nodes without any, and some of the days."""
    more = {"openshift-monitoring": 7, r"%\_%": 3, "W_rker%": 2, "Worker una%": 9}
    lookups["cost_categories"] += [{"namespace": name, "cost_category_id": number} for name, number in more.items()]
    first, *others, infra, _, _, _ = lookups["nodes"]
    elsewhere = {**first, "resource_id": "i-elsewhere", "node_role": "worker"}
    lookups["nodes"] = [first, elsewhere, *others, {**infra, "node_role": "infra"}]
    year_month = lookups["start_date"][:8]
    lookups["start_date"], lookups["end_date"] = year_month + "03", year_month + "27"
    lookups["days"] = ["3", 4, "05", 6, 7, 20, 21, 22, 28]


def main(source, target):
    connection = duckdb.connect()
    for table, (hashed, columns) in CHANGES.items():
        changed = ", ".join(f"{change} AS {column}" for column, change in columns.items())
        for file in sorted((source / table).rglob("*.parquet")):
            written = target / file.relative_to(source)
            written.parent.mkdir(parents=True, exist_ok=True)
            lines = f"read_parquet('{file}', hive_partitioning = false)"
            rows = f"SELECT *, hash({hashed}) // 8 % 100000 AS n, hour(interval_start) AS h FROM {lines}"
            connection.execute(
                f"COPY (SELECT * EXCLUDE (n, h) REPLACE ({changed}) FROM ({rows})) TO '{written}' (FORMAT parquet)"
            )
    lookups = json.loads((source / "lookups.json").read_text())
    change_lookups(lookups)
    (target / "lookups.json").write_text(json.dumps(lookups, indent=2))


if __name__ == "__main__":
    main(*(pathlib.Path(argument) for argument in sys.argv[1:]))

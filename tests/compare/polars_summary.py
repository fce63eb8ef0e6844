"""The same job in Polars: lazy frames on the streaming engine wherever line items are read.

As in sql/best_pods.sql, line items are added up on the raw text of their labels, and JSON is parsed once per distinct
text. A label whose value is JSON null counts as absent here: a struct cannot tell the two apart. koku writes none.
"""

import calendar
import datetime
import json
import re

import polars as pl

GIB = 1 << 30
EXCLUDED = ["Platform unallocated", "Worker unallocated", "Network unattributed", "Storage unattributed"]
NO_COST = '{"cpu": 0.000000000, "memory": 0.000000000, "storage": 0.000000000}'

# Our short names of a pod's sums, and the columns of the summary they become.
POD_SUMS = {
    f"{what}_{kind}": f"pod_{'effective_usage' if what == 'effective' else what}_{unit}"
    for kind, unit in [("cpu", "cpu_core_hours"), ("memory", "memory_gigabyte_hours")]
    for what in ["usage", "request", "effective", "limit"]
}
CAPACITIES = {
    "cores": "node_capacity_cpu_cores",
    "node_cpu": "node_capacity_cpu_core_hours",
    "memory": "node_capacity_memory_gigabytes",
    "node_memory": "node_capacity_memory_gigabyte_hours",
    "cluster_cpu": "cluster_capacity_cpu_core_hours",
    "cluster_memory": "cluster_capacity_memory_gigabyte_hours",
}
VOLUME_NUMBERS = {
    "capacity_gigabyte": "persistentvolumeclaim_capacity_gigabyte",
    "capacity": "persistentvolumeclaim_capacity_gigabyte_months",
    "request": "volume_request_storage_gigabyte_months",
    "usage": "persistentvolumeclaim_usage_gigabyte_months",
}
VOLUME_TEXT = ["persistentvolumeclaim", "persistentvolume", "storageclass"]


class Lookups:
    """What lookups.json says, in the form that the frames below need."""

    def __init__(self, data):
        found = json.loads((data / "lookups.json").read_text())
        self.source = found["source_uuid"].lower()
        if found.get("start_date"):
            self.start = datetime.date.fromisoformat(found["start_date"])
            self.end = datetime.date.fromisoformat(found["end_date"])
        else:
            year, month = int(found["year"]), int(found["month"])
            self.start = datetime.date(year, month, 1)
            self.end = datetime.date(year, month, calendar.monthrange(year, month)[1])
        self.days = None if found.get("days") is None else [int(day) for day in found["days"]]
        self.has_storage = found.get("storage_exists", True)
        keys = {*found["enabled_tag_keys"], "vm_kubevirt_io_name"}
        self.keys = sorted(keys, key=lambda key: (len(key.encode()), key))
        self.categories = [(pattern_of(c["namespace"]), c["cost_category_id"]) for c in found["cost_categories"]]
        columns = {"node": pl.String, "resource_id": pl.String, "node_role": pl.String}
        self.roles = pl.DataFrame(found["nodes"], schema=columns).group_by("node", "resource_id").max()
        self.constants = [
            pl.lit(found["report_period_id"], pl.Int32).alias("report_period_id"),
            pl.lit(found["cluster_id"]).alias("cluster_id"),
            pl.lit(found["cluster_alias"]).alias("cluster_alias"),
            pl.lit(self.source).alias("source_uuid"),
        ]

    def categories_of(self, namespaces):
        """One row per namespace and matching category."""
        matches = [
            namespaces.filter(pl.col("namespace").str.contains(pattern)).with_columns(
                pl.lit(category, pl.Int32).alias("cost_category_id")
            )
            for pattern, category in self.categories
        ]
        empty = pl.DataFrame(schema={"namespace": pl.String, "cost_category_id": pl.Int32})
        return pl.concat([empty, *matches])

    def add_categories(self, rows, sums):
        """The largest matching category; several copy the row, which multiplies its sums."""
        found = self.categories_of(rows.select("namespace").unique().drop_nulls()).group_by("namespace")
        found = found.agg(pl.col("cost_category_id").max(), pl.len().alias("copies"))
        return rows.join(found, on="namespace", how="left").with_columns(
            pl.col(name) * pl.col("copies").fill_null(1) for name in sums
        )


def pattern_of(like):
    """PostgreSQL's LIKE as a regular expression."""
    parts = re.findall(r"\\.|%|_|[^\\%_]+", like, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return "(?s)^" + "".join(wild.get(part) or re.escape(part.removeprefix("\\")) for part in parts) + "$"


def lines(data, lookups, table):
    """A table's line items, with the day they belong to."""
    files = data / table / f"source={lookups.source}" / "**" / "*.parquet"
    start = pl.col("interval_start") >= pl.lit(lookups.start).cast(pl.Datetime)
    end = pl.col("interval_start") < pl.lit(lookups.end + datetime.timedelta(days=1)).cast(pl.Datetime)
    frame = pl.scan_parquet(files, hive_partitioning=False).filter(start & end)
    return frame.with_columns(pl.col("interval_start").dt.date().alias("day"))


def pod_totals(frame):
    def seconds(what, kind):
        column = f"pod_{what}_{'cpu_core' if kind == 'cpu' else 'memory_byte'}_seconds"
        if what != "effective":
            return pl.col(column)
        present = pl.col(column.replace("effective", "effective_usage"))
        return present.fill_null(pl.max_horizontal(seconds("usage", kind), seconds("request", kind)))

    return frame.group_by("day", "namespace", "node", "pod", "resource_id", "pod_labels").agg(
        *(seconds(*name.split("_")).sum().alias(name) for name in POD_SUMS),
        pl.col("node_capacity_cpu_cores").max().alias("cores"),
        pl.col("node_capacity_memory_bytes").max().alias("memory"),
    )


def capacity_totals(frame):
    per_interval = frame.group_by("day", "interval_start", "node").agg(
        pl.col("node_capacity_cpu_core_seconds").max().alias("node_cpu"),
        pl.col("node_capacity_memory_byte_seconds").max().alias("node_memory"),
    )
    return per_interval.group_by("day", "node").agg(pl.col("node_cpu", "node_memory").sum())


def storage_totals(frame):
    keys = ["day", "namespace", "pod", *VOLUME_TEXT, "csi_volume_handle"]
    return frame.group_by(*keys, "persistentvolume_labels", "persistentvolumeclaim_labels").agg(
        pl.col("persistentvolumeclaim_capacity_bytes").max().alias("capacity_gigabyte"),
        pl.col("persistentvolumeclaim_capacity_byte_seconds").sum().alias("capacity"),
        pl.col("volume_request_storage_byte_seconds").sum().alias("request"),
        pl.col("persistentvolumeclaim_usage_byte_seconds").sum().alias("usage"),
    )


def filtered(frame, column, keys, name):
    """Adds `name`: a struct of the enabled labels, parsed once per distinct text."""
    shape = pl.Struct({key: pl.String for key in keys})
    text = pl.when(pl.col(column).str.strip_chars() != "").then(pl.col(column)).otherwise(pl.lit("{}"))
    texts = frame.select(column).unique().with_columns(text.str.json_decode(shape).alias(name))
    return frame.join(texts, on=column, how="left", nulls_equal=True)


def label_sets(frame, column, keys, owner):
    """The distinct filtered label sets of a day's nodes or namespaces."""
    return filtered(frame, column, keys, f"{owner}_set").select("day", owner, f"{owner}_set").unique()


def merged(rows, sets, keys, name="labels"):
    """Adds the JSON text of the merged sets, made once per distinct combination. The first set that has a key wins."""

    def value(key):
        first = pl.coalesce(pl.col(each).struct.field(key) for each in sets)
        quoted = pl.struct(first.alias("v")).struct.json_encode().str.slice(5).str.strip_suffix("}")
        return pl.when(first.is_not_null()).then(pl.concat_str(pl.lit(f"{json.dumps(key)}: "), quoted))

    pairs = pl.concat_list(value(key) for key in keys).list.drop_nulls()
    text = pl.concat_str(pl.lit("{"), pairs.list.join(", "), pl.lit("}"))
    combinations = rows.select(sets).unique().with_columns(text.alias(name))
    return rows.join(combinations, on=sets, how="left", nulls_equal=True)


def pod_rows(pods, capacity, node_sets, namespace_sets, lookups):
    cluster = capacity.group_by("day").agg(
        pl.col("node_cpu").sum().alias("cluster_cpu"), pl.col("node_memory").sum().alias("cluster_memory")
    )
    rows = filtered(pods.filter(pl.col("node") != ""), "pod_labels", lookups.keys, "own_set")
    rows = rows.join(node_sets, on=["day", "node"], how="left")
    rows = rows.join(namespace_sets, on=["day", "namespace"], how="left")
    rows = merged(rows, ["own_set", "namespace_set", "node_set"], lookups.keys)
    rows = rows.group_by("day", "namespace", "node", "labels").agg(
        pl.col(*POD_SUMS).sum(), pl.col("resource_id", "cores", "memory").max()
    )
    rows = lookups.add_categories(rows, POD_SUMS)
    rows = rows.join(capacity, on=["day", "node"], how="left").join(cluster, on="day", how="left")
    hours = [name for name in [*POD_SUMS, *CAPACITIES] if name not in ("cores", "memory")]
    rows = rows.with_columns(pl.col(hours).fill_null(0) / 3600)
    return rows.with_columns(pl.col(name) / GIB for name in [*POD_SUMS, *CAPACITIES] if name.endswith("memory"))


def volume_rows(storage, pods, node_sets, namespace_sets, lookups):
    places = pods.select("day", "namespace", "pod", "node", "resource_id").unique()
    mounts = storage.select("day", "namespace", "pod", "persistentvolumeclaim", "persistentvolume").unique()
    mounts = mounts.join(places, on=["day", "namespace", "pod"])
    nodes = mounts.group_by("day", "persistentvolume").agg(pl.col("node").drop_nulls().n_unique().alias("nodes"))
    rows = filtered(storage, "persistentvolume_labels", lookups.keys, "volume_set")
    rows = filtered(rows, "persistentvolumeclaim_labels", lookups.keys, "claim_set")
    on = ["day", "persistentvolumeclaim", "pod", "namespace"]
    rows = rows.join(mounts.select(*on, "node", "resource_id"), on=on, how="left")
    rows = rows.join(nodes, on=["day", "persistentvolume"], how="left")
    rows = rows.join(node_sets, on=["day", "node"], how="left")
    rows = rows.join(namespace_sets, on=["day", "namespace"], how="left")
    rows = merged(rows, ["claim_set", "volume_set", "namespace_set", "node_set"], lookups.keys)
    keys = ["day", "namespace", "node", "resource_id", *VOLUME_TEXT, "csi_volume_handle", "labels"]
    rows = rows.group_by(keys).agg(
        pl.col("capacity", "request", "usage").sum(), pl.col("capacity_gigabyte", "nodes").max()
    )
    rows = lookups.add_categories(rows, ["capacity", "request", "usage"])
    month_seconds = 86400 * pl.col("day").dt.month_end().dt.day().cast(pl.Float64)
    shared = pl.max_horizontal("nodes", pl.lit(1))
    return rows.with_columns(
        pl.col("capacity_gigabyte") / GIB,
        pl.col("capacity") / month_seconds / GIB,
        *(pl.col(name) / shared / month_seconds / GIB for name in ["request", "usage"]),
    )


def unallocated_rows(pods, lookups):
    compared = [name for name in POD_SUMS if not name.startswith("limit")]
    rows = pods.filter(~pl.col("namespace").is_in(EXCLUDED)).join(lookups.roles, on=["node", "resource_id"], how="left")
    rows = rows.group_by("day", "node").agg(
        *((pl.col(f"node_{name.split('_')[1]}").max() - pl.col(name).sum()).alias(name) for name in compared),
        pl.col(*CAPACITIES, "resource_id", "node_role").max(),
    )
    role = pl.col("node_role")
    namespace = (
        pl.when(role.is_in(["master", "infra"])).then(pl.lit("Platform unallocated"))
        .when(role == "worker").then(pl.lit("Worker unallocated"))
    )  # fmt: skip
    rows = rows.with_columns(namespace.alias("namespace"))
    categories = lookups.categories_of(rows.select("namespace").unique().drop_nulls())
    return rows.join(categories, on="namespace", how="left")


def summary(pods, unallocated, volumes, lookups):
    """All rows, in the columns that daysum writes."""
    days = [pl.col("day").alias("usage_start"), pl.col("day").alias("usage_end")]
    keys = ["namespace", "node", "resource_id", "cost_category_id"]

    def named(names):
        return [pl.col(old).alias(new) for old, new in names.items()]

    cost = pl.lit(NO_COST).alias("infrastructure_usage_cost")
    text = {name: pl.col("labels").alias(name) for name in ["pod_labels", "volume_labels", "all_labels"]}
    pod_numbers = [*named(POD_SUMS), *named(CAPACITIES)]
    parts = [
        pods.select(
            *days, *keys, *pod_numbers, text["pod_labels"], text["all_labels"], cost, data_source=pl.lit("Pod"),
        ),
        unallocated.select(
            *days, *keys, *named({old: new for old, new in POD_SUMS.items() if old in unallocated.columns}),
            *named(CAPACITIES), all_labels=pl.lit("{}"), data_source=pl.lit("Pod"),
        ),
        volumes.select(
            *days, *keys, *VOLUME_TEXT, *named(VOLUME_NUMBERS), text["volume_labels"], text["all_labels"], cost,
            data_source=pl.lit("Storage"),
        ),
    ]  # fmt: skip
    rows = pl.concat(parts, how="diagonal").with_columns(lookups.constants)
    return rows if lookups.days is None else rows.filter(pl.col("usage_start").dt.day().is_in(lookups.days))


def run(data, output):
    lookups = Lookups(data)
    pod_lines = lines(data, lookups, "openshift_pod_usage_line_items")
    storage_lines = lines(data, lookups, "openshift_storage_usage_line_items")
    read = [
        pod_totals(pod_lines),
        capacity_totals(pod_lines),
        storage_totals(storage_lines if lookups.has_storage else storage_lines.filter(False)),
        lines(data, lookups, "openshift_node_labels_line_items").select("day", "node", "node_labels").unique(),
        lines(data, lookups, "openshift_namespace_labels_line_items")
        .select("day", "namespace", "namespace_labels")
        .unique(),
    ]
    pods, capacity, storage, nodes, namespaces = (each.collect(engine="streaming") for each in read)
    node_sets = label_sets(nodes, "node_labels", lookups.keys, "node")
    namespace_sets = label_sets(namespaces, "namespace_labels", lookups.keys, "namespace")
    pod = pod_rows(pods, capacity, node_sets, namespace_sets, lookups)
    volumes = volume_rows(storage, pods, node_sets, namespace_sets, lookups)
    rows = summary(pod, unallocated_rows(pod, lookups), volumes, lookups)
    by_day = pl.PartitionBy(output, key="usage_start", include_key=True)
    rows.lazy().sink_parquet(by_day, compression="snappy", mkdir=True, engine="streaming")

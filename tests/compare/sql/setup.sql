-- What every DuckDB contender starts from: the lookups, and one view per kind of line item.
-- {data} and {threads} are filled in by contender.py.

SET threads = {threads};
SET preserve_insertion_order = false;
SET TimeZone = 'UTC';

CREATE TEMP TABLE lookups AS
SELECT * REPLACE (
    lower(source_uuid) AS source_uuid,
    coalesce(start_date, make_date(year::INTEGER, month::INTEGER, 1)) AS start_date,
    coalesce(end_date, last_day(make_date(year::INTEGER, month::INTEGER, 1))) AS end_date)
FROM read_json('{data}/lookups.json', columns = {
    source_uuid: 'VARCHAR', year: 'VARCHAR', month: 'VARCHAR', start_date: 'DATE', end_date: 'DATE', days: 'VARCHAR[]',
    report_period_id: 'INTEGER', cluster_id: 'VARCHAR', cluster_alias: 'VARCHAR', storage_exists: 'BOOLEAN',
    enabled_tag_keys: 'VARCHAR[]',
    cost_categories: 'STRUCT(namespace VARCHAR, cost_category_id INTEGER)[]',
    nodes: 'STRUCT(node VARCHAR, resource_id VARCHAR, node_role VARCHAR)[]'});

-- The virtual machines' key is always enabled. jsonb's order: shorter keys first.
CREATE TEMP TABLE enabled_keys AS
SELECT key FROM (
    SELECT DISTINCT unnest(list_append(enabled_tag_keys, 'vm_kubevirt_io_name')) AS key FROM lookups)
ORDER BY strlen(key), key;

CREATE TEMP TABLE categories AS
SELECT c.namespace AS pattern, c.cost_category_id FROM (SELECT unnest(cost_categories) AS c FROM lookups);

CREATE TEMP TABLE roles AS
SELECT n.node, n.resource_id, max(n.node_role) AS node_role
FROM (SELECT unnest(nodes) AS n FROM lookups) GROUP BY ALL;

SET VARIABLE source = (SELECT source_uuid FROM lookups);
SET VARIABLE range_start = (SELECT start_date::TIMESTAMP FROM lookups);
SET VARIABLE range_end = (SELECT (end_date + 1)::TIMESTAMP FROM lookups);
SET VARIABLE days = (SELECT coalesce(days::INTEGER[], range(1, 32)) FROM lookups);
SET VARIABLE storage = (SELECT coalesce(storage_exists, true) FROM lookups);

-- A filtered label set is a list: one JSON token or NULL per enabled key, in the order of enabled_keys.
SET VARIABLE paths = (SELECT list('/' || replace(replace(key, '~', '~0'), '/', '~1')) FROM enabled_keys);
SET VARIABLE heads = (SELECT list(to_json(key)::VARCHAR || ': ') FROM enabled_keys);
SET VARIABLE places = (SELECT range(1, count(*) + 1) FROM enabled_keys);

CREATE TEMP MACRO filtered(text) AS
    coalesce(json_extract(nullif(trim(text), ''), getvariable('paths')), [NULL::JSON for i in getvariable('places')]);
CREATE TEMP MACRO written(labels) AS
    '{' || list_aggregate(list_filter([getvariable('heads')[i] || labels[i] for i in getvariable('places')],
        lambda pair: pair IS NOT NULL), 'string_agg', ', ') || '}';

CREATE TEMP MACRO line_items(kind) AS TABLE
SELECT * FROM read_parquet(
    '{data}/openshift_' || kind || '_line_items/source=' || getvariable('source') || '/**/*.parquet',
    hive_partitioning = false)
WHERE interval_start >= getvariable('range_start') AND interval_start < getvariable('range_end');

CREATE TEMP VIEW pod_lines AS FROM line_items('pod_usage');
CREATE TEMP VIEW storage_lines AS FROM line_items('storage_usage') WHERE getvariable('storage');
CREATE TEMP VIEW node_label_lines AS FROM line_items('node_labels');
CREATE TEMP VIEW namespace_label_lines AS FROM line_items('namespace_labels');

-- Pods and capacity, as fast as we could write it: line items are added up on the raw text of their labels, so that JSON
-- is parsed once per distinct text and labels are merged once per distinct combination.

CREATE TEMP TABLE pod_text AS
SELECT interval_start::DATE AS day, namespace, node, pod, resource_id, pod_labels,
    coalesce(sum(pod_usage_cpu_core_seconds), 0) AS usage_cpu,
    coalesce(sum(pod_request_cpu_core_seconds), 0) AS request_cpu,
    coalesce(sum(coalesce(pod_effective_usage_cpu_core_seconds,
        greatest(pod_usage_cpu_core_seconds, pod_request_cpu_core_seconds))), 0) AS effective_cpu,
    coalesce(sum(pod_limit_cpu_core_seconds), 0) AS limit_cpu,
    coalesce(sum(pod_usage_memory_byte_seconds), 0) AS usage_memory,
    coalesce(sum(pod_request_memory_byte_seconds), 0) AS request_memory,
    coalesce(sum(coalesce(pod_effective_usage_memory_byte_seconds,
        greatest(pod_usage_memory_byte_seconds, pod_request_memory_byte_seconds))), 0) AS effective_memory,
    coalesce(sum(pod_limit_memory_byte_seconds), 0) AS limit_memory,
    max(node_capacity_cpu_cores) AS cores,
    max(node_capacity_memory_bytes) AS memory_bytes
FROM pod_lines GROUP BY ALL;

-- The capacity of an interval is the largest that any pod reported, that of a day the sum of its intervals.
CREATE TEMP TABLE node_capacity AS
SELECT interval_start::DATE AS day, node, sum(cpu) AS cpu, sum(memory) AS memory
FROM (
    SELECT interval_start, node, max(node_capacity_cpu_core_seconds) AS cpu,
        max(node_capacity_memory_byte_seconds) AS memory
    FROM pod_lines GROUP BY ALL)
GROUP BY ALL;

CREATE TEMP TABLE cluster_capacity AS
SELECT day, sum(cpu) AS cpu, sum(memory) AS memory FROM node_capacity GROUP BY ALL;

CREATE TEMP TABLE node_sets AS
WITH lines AS (SELECT DISTINCT interval_start::DATE AS day, node, node_labels FROM node_label_lines),
texts AS (SELECT node_labels, filtered(node_labels) AS labels FROM (SELECT DISTINCT node_labels FROM lines))
SELECT DISTINCT day, node, labels FROM lines JOIN texts ON lines.node_labels IS NOT DISTINCT FROM texts.node_labels;

CREATE TEMP TABLE namespace_sets AS
WITH lines AS (SELECT DISTINCT interval_start::DATE AS day, namespace, namespace_labels FROM namespace_label_lines),
texts AS (SELECT namespace_labels, filtered(namespace_labels) AS labels FROM (SELECT DISTINCT namespace_labels FROM lines))
SELECT DISTINCT day, namespace, labels
FROM lines JOIN texts ON lines.namespace_labels IS NOT DISTINCT FROM texts.namespace_labels;

-- Several matching patterns copy a row; the largest id stays.
CREATE TEMP TABLE namespace_categories AS
SELECT namespace, max(cost_category_id) AS cost_category_id, count(*) AS copies
FROM (SELECT DISTINCT namespace FROM pod_text) JOIN categories ON namespace LIKE pattern ESCAPE '\'
GROUP BY ALL;

CREATE TEMP TABLE pods AS
WITH joined AS (
    SELECT pod_text.*, node_sets.labels AS node_labels, namespace_sets.labels AS namespace_labels
    FROM pod_text LEFT JOIN node_sets USING (day, node) LEFT JOIN namespace_sets USING (day, namespace)
    WHERE node <> ''),
texts AS (
    SELECT pod_labels, filtered(pod_labels) AS labels FROM (SELECT DISTINCT pod_labels FROM pod_text)),
merged AS (
    SELECT c.pod_labels, node_labels, namespace_labels,
        written([coalesce(labels[i], namespace_labels[i], node_labels[i]) for i in getvariable('places')]) AS labels
    FROM (SELECT DISTINCT pod_labels, node_labels, namespace_labels FROM joined) c
    JOIN texts ON c.pod_labels IS NOT DISTINCT FROM texts.pod_labels),
added AS (
    SELECT day, namespace, node, labels, max(resource_id) AS resource_id,
        sum(usage_cpu) AS usage_cpu, sum(request_cpu) AS request_cpu, sum(effective_cpu) AS effective_cpu,
        sum(limit_cpu) AS limit_cpu, sum(usage_memory) AS usage_memory, sum(request_memory) AS request_memory,
        sum(effective_memory) AS effective_memory, sum(limit_memory) AS limit_memory,
        max(cores) AS cores, max(memory_bytes) AS memory_bytes
    FROM joined JOIN merged
        ON joined.pod_labels IS NOT DISTINCT FROM merged.pod_labels
        AND joined.node_labels IS NOT DISTINCT FROM merged.node_labels
        AND joined.namespace_labels IS NOT DISTINCT FROM merged.namespace_labels
    GROUP BY ALL)
SELECT day, namespace, node, labels, resource_id, cost_category_id,
    usage_cpu * coalesce(copies, 1) / 3600 AS usage_cpu,
    request_cpu * coalesce(copies, 1) / 3600 AS request_cpu,
    effective_cpu * coalesce(copies, 1) / 3600 AS effective_cpu,
    limit_cpu * coalesce(copies, 1) / 3600 AS limit_cpu,
    usage_memory * coalesce(copies, 1) / 3600 / 1073741824 AS usage_memory,
    request_memory * coalesce(copies, 1) / 3600 / 1073741824 AS request_memory,
    effective_memory * coalesce(copies, 1) / 3600 / 1073741824 AS effective_memory,
    limit_memory * coalesce(copies, 1) / 3600 / 1073741824 AS limit_memory,
    cores,
    coalesce(node_capacity.cpu, 0) / 3600 AS node_cpu,
    memory_bytes / 1073741824 AS memory,
    coalesce(node_capacity.memory, 0) / 3600 / 1073741824 AS node_memory,
    coalesce(cluster_capacity.cpu, 0) / 3600 AS cluster_cpu,
    coalesce(cluster_capacity.memory, 0) / 3600 / 1073741824 AS cluster_memory
FROM added LEFT JOIN node_capacity USING (day, node) LEFT JOIN cluster_capacity USING (day)
    LEFT JOIN namespace_categories USING (namespace);

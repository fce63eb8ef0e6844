-- Pods, as fast as we could write it: line items are added up on the raw text of their labels, so that
-- JSON is parsed once per distinct text and labels are merged once per distinct combination.

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

-- Distinct texts are parsed once, and the label sets they stand for get a number. 0 stands for no label set.
CREATE TEMP TABLE node_texts AS
SELECT DISTINCT interval_start::DATE AS day, node, coalesce(node_labels, '') AS text
FROM node_label_lines;

CREATE TEMP TABLE namespace_texts AS
SELECT DISTINCT interval_start::DATE AS day, namespace, coalesce(namespace_labels, '') AS text
FROM namespace_label_lines;

CREATE TEMP TABLE texts AS
SELECT text, labels, dense_rank() OVER (ORDER BY labels) AS label_set
FROM (
    SELECT text, filtered(text) AS labels
    FROM (
        SELECT coalesce(pod_labels, '') AS text FROM pod_text
        UNION SELECT text FROM node_texts
        UNION SELECT text FROM namespace_texts));

CREATE TEMP TABLE sets AS SELECT DISTINCT label_set, labels FROM texts;

CREATE TEMP TABLE node_sets AS
SELECT DISTINCT day, node, label_set FROM node_texts n JOIN texts USING (text);

CREATE TEMP TABLE namespace_sets AS
SELECT DISTINCT day, namespace, label_set FROM namespace_texts n JOIN texts USING (text);

-- Several matching patterns copy a row; the largest id stays.
CREATE TEMP TABLE namespace_categories AS
SELECT namespace, max(cost_category_id) AS cost_category_id, count(*) AS copies
FROM (SELECT DISTINCT namespace FROM pod_text) JOIN categories ON namespace LIKE pattern ESCAPE '\'
GROUP BY ALL;

CREATE TEMP TABLE pods AS
WITH joined AS (
    SELECT p.* EXCLUDE (pod, pod_labels), texts.label_set AS own_set, coalesce(n.label_set, 0) AS node_set,
        coalesce(s.label_set, 0) AS namespace_set
    FROM pod_text p
    JOIN texts ON coalesce(pod_labels, '') = texts.text
    LEFT JOIN node_sets n ON p.day = n.day AND p.node = n.node
    LEFT JOIN namespace_sets s ON p.day = s.day AND p.namespace = s.namespace
    WHERE p.node <> ''),
merged AS MATERIALIZED (
    SELECT own_set, node_set, namespace_set, labels, dense_rank() OVER (ORDER BY labels) AS merged_set
    FROM (
        SELECT own_set, node_set, namespace_set,
            written([coalesce(p.labels[i], s.labels[i], n.labels[i]) for i in getvariable('places')]) AS labels
        FROM (SELECT DISTINCT own_set, node_set, namespace_set FROM joined)
        JOIN sets p ON p.label_set = own_set
        LEFT JOIN sets n ON n.label_set = node_set
        LEFT JOIN sets s ON s.label_set = namespace_set)),
added AS (
    SELECT day, namespace, node, merged_set, max(resource_id) AS resource_id,
        sum(usage_cpu) AS usage_cpu, sum(request_cpu) AS request_cpu, sum(effective_cpu) AS effective_cpu,
        sum(limit_cpu) AS limit_cpu, sum(usage_memory) AS usage_memory, sum(request_memory) AS request_memory,
        sum(effective_memory) AS effective_memory, sum(limit_memory) AS limit_memory,
        max(cores) AS cores, max(memory_bytes) AS memory_bytes
    FROM joined JOIN merged USING (own_set, node_set, namespace_set)
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
FROM added JOIN (SELECT DISTINCT merged_set, labels FROM merged) USING (merged_set)
    LEFT JOIN node_capacity USING (day, node) LEFT JOIN cluster_capacity USING (day)
    LEFT JOIN namespace_categories USING (namespace);

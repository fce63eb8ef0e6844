-- The SQL in the shape of koku's own: every line item carries its labels through a JSON filter, everything is joined,
-- then grouped once. Hourly line items stand for daily ones; koku sums them the same way.

CREATE TEMP TABLE node_sets AS
SELECT DISTINCT interval_start::DATE AS day, node, filtered(node_labels) AS labels FROM node_label_lines;

CREATE TEMP TABLE namespace_sets AS
SELECT DISTINCT interval_start::DATE AS day, namespace, filtered(namespace_labels) AS labels
FROM namespace_label_lines;

CREATE TEMP TABLE mounts AS
SELECT DISTINCT s.interval_start::DATE AS day, persistentvolumeclaim, persistentvolume, s.pod, s.namespace, p.node,
    p.resource_id
FROM storage_lines s
JOIN (SELECT DISTINCT interval_start::DATE AS day, namespace, pod, node, resource_id FROM pod_lines) p
    ON s.namespace = p.namespace AND s.pod = p.pod AND s.interval_start::DATE = p.day;

CREATE TEMP TABLE volume_nodes AS
SELECT day, persistentvolume, count(DISTINCT node) AS nodes FROM mounts GROUP BY ALL;

CREATE TEMP TABLE pods AS
WITH lines AS (SELECT interval_start::DATE AS day, *, filtered(pod_labels) AS own FROM pod_lines WHERE node <> '')
SELECT li.day, li.namespace, li.node,
    [coalesce(own[i], s.labels[i], n.labels[i]) for i in getvariable('places')] AS merged,
    written(merged) AS labels,
    max(li.resource_id) AS resource_id, max(cost_category_id) AS cost_category_id,
    coalesce(sum(pod_usage_cpu_core_seconds), 0) / 3600 AS usage_cpu,
    coalesce(sum(pod_request_cpu_core_seconds), 0) / 3600 AS request_cpu,
    coalesce(sum(coalesce(pod_effective_usage_cpu_core_seconds,
        greatest(pod_usage_cpu_core_seconds, pod_request_cpu_core_seconds))), 0) / 3600 AS effective_cpu,
    coalesce(sum(pod_limit_cpu_core_seconds), 0) / 3600 AS limit_cpu,
    coalesce(sum(pod_usage_memory_byte_seconds), 0) / 3600 / 1073741824 AS usage_memory,
    coalesce(sum(pod_request_memory_byte_seconds), 0) / 3600 / 1073741824 AS request_memory,
    coalesce(sum(coalesce(pod_effective_usage_memory_byte_seconds,
        greatest(pod_usage_memory_byte_seconds, pod_request_memory_byte_seconds))), 0) / 3600 / 1073741824
        AS effective_memory,
    coalesce(sum(pod_limit_memory_byte_seconds), 0) / 3600 / 1073741824 AS limit_memory,
    max(li.node_capacity_cpu_cores) AS cores,
    coalesce(max(nc.cpu), 0) / 3600 AS node_cpu,
    max(li.node_capacity_memory_bytes) / 1073741824 AS memory,
    coalesce(max(nc.memory), 0) / 3600 / 1073741824 AS node_memory,
    coalesce(max(cc.cpu), 0) / 3600 AS cluster_cpu,
    coalesce(max(cc.memory), 0) / 3600 / 1073741824 AS cluster_memory
FROM lines li
LEFT JOIN node_sets n ON n.day = li.day AND n.node = li.node
LEFT JOIN namespace_sets s ON s.day = li.day AND s.namespace = li.namespace
LEFT JOIN node_capacity nc ON nc.day = li.day AND nc.node = li.node
LEFT JOIN cluster_capacity cc ON cc.day = li.day
LEFT JOIN categories ON li.namespace LIKE pattern ESCAPE '\'
GROUP BY li.day, li.namespace, li.node, merged;

CREATE TEMP TABLE volumes AS
WITH lines AS (
    SELECT interval_start::DATE AS day, *, filtered(persistentvolume_labels) AS volume,
        filtered(persistentvolumeclaim_labels) AS claim
    FROM storage_lines)
SELECT li.day, li.namespace, m.node, m.resource_id, li.persistentvolumeclaim, li.persistentvolume, li.storageclass,
    [coalesce(claim[i], volume[i], s.labels[i], n.labels[i]) for i in getvariable('places')] AS merged,
    written(merged) AS labels,
    max(cost_category_id) AS cost_category_id,
    max(persistentvolumeclaim_capacity_bytes) / 1073741824 AS capacity_gigabyte,
    coalesce(sum(persistentvolumeclaim_capacity_byte_seconds), 0)
        / (86400 * max(day(last_day(li.day)))) / 1073741824 AS capacity_months,
    coalesce(sum(volume_request_storage_byte_seconds), 0) / greatest(max(v.nodes), 1)
        / (86400 * max(day(last_day(li.day)))) / 1073741824 AS request_months,
    coalesce(sum(persistentvolumeclaim_usage_byte_seconds), 0) / greatest(max(v.nodes), 1)
        / (86400 * max(day(last_day(li.day)))) / 1073741824 AS usage_months
FROM lines li
LEFT JOIN mounts m ON m.day = li.day AND m.persistentvolumeclaim = li.persistentvolumeclaim AND m.pod = li.pod
    AND m.namespace = li.namespace
LEFT JOIN volume_nodes v ON v.day = li.day AND v.persistentvolume = li.persistentvolume
LEFT JOIN node_sets n ON n.day = li.day AND n.node = m.node
LEFT JOIN namespace_sets s ON s.day = li.day AND s.namespace = li.namespace
LEFT JOIN categories ON li.namespace LIKE pattern ESCAPE '\'
GROUP BY li.day, li.namespace, m.node, m.resource_id, li.persistentvolumeclaim, li.persistentvolume, li.storageclass,
    li.csi_volume_handle, merged;

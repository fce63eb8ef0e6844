-- Storage and unallocated capacity, on top of best_pods.sql.

CREATE TEMP TABLE storage_text AS
SELECT interval_start::DATE AS day, namespace, pod, persistentvolumeclaim, persistentvolume, storageclass,
    csi_volume_handle, persistentvolume_labels, persistentvolumeclaim_labels,
    max(persistentvolumeclaim_capacity_bytes) AS capacity_bytes,
    coalesce(sum(persistentvolumeclaim_capacity_byte_seconds), 0) AS capacity,
    coalesce(sum(volume_request_storage_byte_seconds), 0) AS request,
    coalesce(sum(persistentvolumeclaim_usage_byte_seconds), 0) AS usage
FROM storage_lines GROUP BY ALL;

-- Which node a claim's pod ran on. A volume name is shared by as many nodes as its pods ran on.
CREATE TEMP TABLE mounts AS
SELECT DISTINCT day, persistentvolumeclaim, persistentvolume, pod, namespace, p.node, p.resource_id
FROM storage_text JOIN pod_text p USING (day, namespace, pod);

CREATE TEMP TABLE volume_nodes AS
SELECT day, persistentvolume, count(DISTINCT node) AS nodes FROM mounts GROUP BY ALL;

CREATE TEMP TABLE volumes AS
WITH joined AS (
    SELECT s.*, m.node, m.resource_id, v.nodes, node_sets.labels AS node_labels,
        namespace_sets.labels AS namespace_labels
    FROM storage_text s
    LEFT JOIN mounts m USING (day, persistentvolumeclaim, pod, namespace)
    LEFT JOIN volume_nodes v ON s.day = v.day AND s.persistentvolume = v.persistentvolume
    LEFT JOIN node_sets ON s.day = node_sets.day AND m.node = node_sets.node
    LEFT JOIN namespace_sets ON s.day = namespace_sets.day AND s.namespace = namespace_sets.namespace),
merged AS (
    SELECT *, written([coalesce(claim[i], volume[i], namespace_labels[i], node_labels[i])
        for i in getvariable('places')]) AS labels
    FROM (
        SELECT *, filtered(persistentvolume_labels) AS volume, filtered(persistentvolumeclaim_labels) AS claim
        FROM (SELECT DISTINCT persistentvolume_labels, persistentvolumeclaim_labels, node_labels, namespace_labels
            FROM joined))),
copies AS (
    SELECT namespace, max(cost_category_id) AS cost_category_id, count(*) AS copies
    FROM (SELECT DISTINCT namespace FROM storage_text) JOIN categories ON namespace LIKE pattern ESCAPE '\'
    GROUP BY ALL),
added AS (
    SELECT day, namespace, node, resource_id, persistentvolumeclaim, persistentvolume, storageclass, csi_volume_handle,
        labels, max(capacity_bytes) AS capacity_bytes, sum(capacity) AS capacity, sum(request) AS request,
        sum(usage) AS usage, coalesce(max(nodes), 1) AS nodes
    FROM joined JOIN merged
        ON joined.persistentvolume_labels IS NOT DISTINCT FROM merged.persistentvolume_labels
        AND joined.persistentvolumeclaim_labels IS NOT DISTINCT FROM merged.persistentvolumeclaim_labels
        AND joined.node_labels IS NOT DISTINCT FROM merged.node_labels
        AND joined.namespace_labels IS NOT DISTINCT FROM merged.namespace_labels
    GROUP BY ALL)
SELECT day, namespace, node, resource_id, persistentvolumeclaim, persistentvolume, storageclass, labels, cost_category_id,
    capacity_bytes / 1073741824 AS capacity_gigabyte,
    capacity * coalesce(copies, 1) / (86400 * day(last_day(day))) / 1073741824 AS capacity_months,
    request * coalesce(copies, 1) / nodes / (86400 * day(last_day(day))) / 1073741824 AS request_months,
    usage * coalesce(copies, 1) / nodes / (86400 * day(last_day(day))) / 1073741824 AS usage_months
FROM added LEFT JOIN copies USING (namespace);

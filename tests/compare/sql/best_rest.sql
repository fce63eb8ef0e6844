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

CREATE TEMP TABLE volume_texts AS
SELECT text, labels, dense_rank() OVER (ORDER BY labels) AS label_set
FROM (
    SELECT text, filtered(text) AS labels
    FROM (
        SELECT coalesce(persistentvolume_labels, '') AS text FROM storage_text
        UNION SELECT coalesce(persistentvolumeclaim_labels, '') FROM storage_text));

CREATE TEMP TABLE volume_sets AS SELECT DISTINCT label_set, labels FROM volume_texts;

CREATE TEMP TABLE volumes AS
WITH joined AS (
    SELECT s.* EXCLUDE (pod, persistentvolume_labels, persistentvolumeclaim_labels), m.node, m.resource_id, v.nodes,
        volume.label_set AS volume_set, claim.label_set AS claim_set, coalesce(node_sets.label_set, 0) AS node_set,
        coalesce(namespace_sets.label_set, 0) AS namespace_set
    FROM storage_text s
    JOIN volume_texts volume ON coalesce(s.persistentvolume_labels, '') = volume.text
    JOIN volume_texts claim ON coalesce(s.persistentvolumeclaim_labels, '') = claim.text
    LEFT JOIN mounts m USING (day, persistentvolumeclaim, pod, namespace)
    LEFT JOIN volume_nodes v ON s.day = v.day AND s.persistentvolume = v.persistentvolume
    LEFT JOIN node_sets ON s.day = node_sets.day AND m.node = node_sets.node
    LEFT JOIN namespace_sets ON s.day = namespace_sets.day AND s.namespace = namespace_sets.namespace),
merged AS MATERIALIZED (
    SELECT volume_set, claim_set, node_set, namespace_set, labels, dense_rank() OVER (ORDER BY labels) AS merged_set
    FROM (
        SELECT volume_set, claim_set, node_set, namespace_set,
            written([coalesce(c.labels[i], v.labels[i], s.labels[i], n.labels[i]) for i in getvariable('places')])
                AS labels
        FROM (SELECT DISTINCT volume_set, claim_set, node_set, namespace_set FROM joined)
        JOIN volume_sets c ON c.label_set = claim_set
        JOIN volume_sets v ON v.label_set = volume_set
        LEFT JOIN sets n ON n.label_set = node_set
        LEFT JOIN sets s ON s.label_set = namespace_set)),
copies AS (
    SELECT namespace, max(cost_category_id) AS cost_category_id, count(*) AS copies
    FROM (SELECT DISTINCT namespace FROM storage_text) JOIN categories ON namespace LIKE pattern ESCAPE '\'
    GROUP BY ALL),
added AS (
    SELECT day, namespace, node, resource_id, persistentvolumeclaim, persistentvolume, storageclass, csi_volume_handle,
        merged_set, max(capacity_bytes) AS capacity_bytes, sum(capacity) AS capacity, sum(request) AS request,
        sum(usage) AS usage, greatest(max(nodes), 1) AS nodes
    FROM joined JOIN merged USING (volume_set, claim_set, node_set, namespace_set)
    GROUP BY ALL)
SELECT day, namespace, node, resource_id, persistentvolumeclaim, persistentvolume, storageclass, labels,
    cost_category_id,
    capacity_bytes / 1073741824 AS capacity_gigabyte,
    capacity * coalesce(copies, 1) / (86400 * day(last_day(day))) / 1073741824 AS capacity_months,
    request * coalesce(copies, 1) / nodes / (86400 * day(last_day(day))) / 1073741824 AS request_months,
    usage * coalesce(copies, 1) / nodes / (86400 * day(last_day(day))) / 1073741824 AS usage_months
FROM added JOIN (SELECT DISTINCT merged_set, labels FROM merged) USING (merged_set)
    LEFT JOIN copies USING (namespace);

-- All rows, in the columns that daysum writes.

CREATE TEMP VIEW summary AS
SELECT * FROM pod_summary
UNION ALL BY NAME
SELECT report_period_id, cluster_id, cluster_alias, 'Pod' AS data_source, day AS usage_start, day AS usage_end,
    namespace, node, resource_id,
    usage_cpu AS pod_usage_cpu_core_hours, request_cpu AS pod_request_cpu_core_hours,
    effective_cpu AS pod_effective_usage_cpu_core_hours,
    usage_memory AS pod_usage_memory_gigabyte_hours, request_memory AS pod_request_memory_gigabyte_hours,
    effective_memory AS pod_effective_usage_memory_gigabyte_hours,
    cores AS node_capacity_cpu_cores, node_cpu AS node_capacity_cpu_core_hours,
    memory AS node_capacity_memory_gigabytes, node_memory AS node_capacity_memory_gigabyte_hours,
    cluster_cpu AS cluster_capacity_cpu_core_hours, cluster_memory AS cluster_capacity_memory_gigabyte_hours,
    '{}' AS all_labels, source_uuid, cost_category_id
FROM unallocated, lookups
WHERE list_contains(getvariable('days'), day(day))
UNION ALL BY NAME
SELECT report_period_id, cluster_id, cluster_alias, 'Storage' AS data_source, day AS usage_start, day AS usage_end,
    namespace, node, resource_id, persistentvolumeclaim, persistentvolume, storageclass,
    labels AS volume_labels, labels AS all_labels,
    capacity_gigabyte AS persistentvolumeclaim_capacity_gigabyte,
    capacity_months AS persistentvolumeclaim_capacity_gigabyte_months,
    request_months AS volume_request_storage_gigabyte_months,
    usage_months AS persistentvolumeclaim_usage_gigabyte_months,
    source_uuid,
    '{"cpu": 0.000000000, "memory": 0.000000000, "storage": 0.000000000}' AS infrastructure_usage_cost,
    cost_category_id
FROM volumes, lookups
WHERE list_contains(getvariable('days'), day(day));

-- What of each node's capacity no pod used or asked for, from the finished table `pods`.

CREATE TEMP TABLE unallocated AS
WITH per_node AS (
    SELECT day, node, max(node_role) AS role, max(pods.resource_id) AS resource_id,
        max(node_cpu) - sum(usage_cpu) AS usage_cpu,
        max(node_cpu) - sum(request_cpu) AS request_cpu,
        max(node_cpu) - sum(effective_cpu) AS effective_cpu,
        max(node_memory) - sum(usage_memory) AS usage_memory,
        max(node_memory) - sum(request_memory) AS request_memory,
        max(node_memory) - sum(effective_memory) AS effective_memory,
        max(cores) AS cores, max(node_cpu) AS node_cpu, max(memory) AS memory, max(node_memory) AS node_memory,
        max(cluster_cpu) AS cluster_cpu, max(cluster_memory) AS cluster_memory
    FROM pods LEFT JOIN roles USING (node, resource_id)
    WHERE namespace NOT IN (
        'Platform unallocated', 'Worker unallocated', 'Network unattributed', 'Storage unattributed')
    GROUP BY day, node),
named AS (
    SELECT *, CASE WHEN role IN ('master', 'infra') THEN 'Platform unallocated'
        WHEN role = 'worker' THEN 'Worker unallocated' END AS namespace
    FROM per_node)
SELECT named.*, cost_category_id FROM named LEFT JOIN categories ON namespace LIKE pattern ESCAPE '\';

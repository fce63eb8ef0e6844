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

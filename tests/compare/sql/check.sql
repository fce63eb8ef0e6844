-- Compares two sets of rows as multisets. {expected} and {actual} are SELECTs over Parquet files; {text} and {numbers}
-- are the columns that must be equal and those that may differ by rounding. `differences` is left behind, empty if all
-- is well.

CREATE TEMP TABLE expected AS {expected};
CREATE TEMP TABLE actual AS {actual};

-- Labels are compared as JSON: parsed once per distinct text, keys in order.
CREATE TEMP TABLE json_texts AS
SELECT text, (SELECT list_sort(map_entries(from_json(text, '"MAP(VARCHAR, JSON)"'))))::VARCHAR AS canonical
FROM (
    SELECT DISTINCT unnest([pod_labels, volume_labels, all_labels, infrastructure_usage_cost]) AS text FROM expected
    UNION
    SELECT DISTINCT unnest([pod_labels, volume_labels, all_labels, infrastructure_usage_cost]) FROM actual)
WHERE text IS NOT NULL;

CREATE TEMP MACRO canonical_rows(side) AS TABLE
SELECT t.* REPLACE (p.canonical AS pod_labels, v.canonical AS volume_labels, a.canonical AS all_labels,
    c.canonical AS infrastructure_usage_cost)
FROM query_table(side) t
LEFT JOIN json_texts p ON t.pod_labels = p.text
LEFT JOIN json_texts v ON t.volume_labels = v.text
LEFT JOIN json_texts a ON t.all_labels = a.text
LEFT JOIN json_texts c ON t.infrastructure_usage_cost = c.text;

-- Rows whose text is equal are numbered in the order of their numbers, and compared in pairs.
CREATE TEMP TABLE differences AS
WITH e AS (
    SELECT *, hash({text}) AS row_hash, row_number() OVER (PARTITION BY {text} ORDER BY {numbers}) AS copy
    FROM canonical_rows('expected')),
a AS (
    SELECT *, hash({text}) AS row_hash, row_number() OVER (PARTITION BY {text} ORDER BY {numbers}) AS copy
    FROM canonical_rows('actual'))
SELECT e AS expected, a AS actual
FROM e FULL JOIN a ON e.row_hash = a.row_hash AND e.copy = a.copy AND {same_text}
WHERE e.copy IS NULL OR a.copy IS NULL OR NOT ({same_numbers});

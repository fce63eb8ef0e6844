// Finished rows against expected ones, as multisets.

import assert from "node:assert/strict";

// koku's SQL sums doubles in any order, so the last digits of its rows are no law.
const RELATIVE = 1e-9;
const NESTED = ["pod_labels", "volume_labels", "all_labels", "infrastructure_usage_cost"];

/** Every row has its like: texts and labels equal, numbers within 1e-9. */
export function assertSameRows(name, expected, actual) {
  assert.equal(actual.length, expected.length, `${name}: rows`);
  const groups = new Map();
  for (const row of expected.map(plain)) {
    const key = identity(row);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  for (const row of actual.map(plain)) {
    const candidates = groups.get(identity(row)) ?? [];
    const found = candidates.findIndex((candidate) => sameNumbers(candidate, row));
    const told = () => `${name}: no expected row is\n${JSON.stringify(row)}\nnear it:\n${JSON.stringify(candidates)}`;
    assert.ok(found >= 0, found >= 0 ? undefined : told());
    candidates.splice(found, 1);
  }
}

/** A row whichever reader it comes from: dates as text, labels as objects with sorted keys. */
function plain(row) {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      if (value === undefined) return [name, null];
      if (value instanceof Date) return [name, value.toISOString().slice(0, 10)];
      if (NESTED.includes(name) && typeof value === "string") return [name, sorted(JSON.parse(value))];
      if (NESTED.includes(name)) return [name, sorted(value)];
      return [name, typeof value === "bigint" ? Number(value) : value];
    }),
  );
}

function sorted(object) {
  return object && Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Everything that is no number, and which numbers are NULL. */
function identity(row) {
  const parts = Object.entries(row).map(([name, value]) => [name, typeof value === "number" ? "#" : value]);
  return JSON.stringify(parts.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sameNumbers(expected, actual) {
  return Object.entries(expected).every(([name, value]) => {
    if (typeof value !== "number") return true;
    // Unallocated usage is what little is left of a large capacity.
    const scale = expected.infrastructure_usage_cost === null ? expected.node_capacity_memory_gigabyte_hours ?? 0 : 0;
    return Math.abs(value - actual[name]) <= RELATIVE * Math.max(Math.abs(value), Math.abs(actual[name]), scale);
  });
}

export function assertSameBytes(name, expected, actual) {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort(), `${name}: days`);
  for (const [day, bytes] of expected) {
    assert.ok(Buffer.compare(bytes, actual.get(day)) === 0, `${name}, ${day}: other bytes than those expected`);
  }
}

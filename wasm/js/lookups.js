// The options: what the files do not say (enabled keys, cost categories, node roles, the days), and how to run.

import { DaysumError, misuse } from "./errors.js";

const TEXT = ["a text", (value) => typeof value === "string"];
const NUMBER = ["a finite number", Number.isFinite];
const LIST = ["a list", Array.isArray];
const OBJECTS = ["a list of objects", (value) => Array.isArray(value) && value.every((one) => one && typeof one === "object")];
const FUNCTION = ["a function", (value) => typeof value === "function"];
const SIGNAL = ["an AbortSignal", (value) => typeof value.throwIfAborted === "function"];

/** What each option is, as far as the engine does not say it better; `lookups` speak for themselves. */
const OPTIONS = {
  lookups: ["an object or JSON text", () => true],
  enabledKeys: LIST,
  costCategories: OBJECTS,
  nodes: OBJECTS,
  start: TEXT,
  end: TEXT,
  clusterId: TEXT,
  clusterAlias: TEXT,
  sourceUuid: TEXT,
  malformedLabels: TEXT,
  nodelessVolumes: TEXT,
  badFiles: TEXT,
  memoryLimit: NUMBER,
  rowLimit: NUMBER,
  signal: SIGNAL,
  onProgress: FUNCTION,
  onDay: FUNCTION,
};

/**
 * The options that were given: null is as good as nothing.
 * @param {import("./daysum.js").Options} options
 */
export function optionsOf(options) {
  if (options === null || typeof options !== "object") throw misuse("options: give an object");
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  for (const [name, value] of given) {
    if (!Object.hasOwn(OPTIONS, name)) throw misuse(`options: ${name} is not known`);
    const [what, isSo] = OPTIONS[name];
    if (!isSo(value)) throw misuse(`options: ${name} must be ${what}`);
  }
  return Object.fromEntries(given);
}

/**
 * The lookups file with the options' own fields on top, as JSON.
 * @param {import("./daysum.js").Options} options
 */
export function lookupsJson(options) {
  const fields = {
    enabled_tag_keys: options.enabledKeys,
    cost_categories: options.costCategories?.map(({ namespace, id }) => ({ namespace, cost_category_id: id })),
    nodes: options.nodes?.map(({ node, resourceId, role }) => ({ node, resource_id: resourceId, node_role: role })),
    start_date: options.start,
    end_date: options.end,
    cluster_id: options.clusterId,
    cluster_alias: options.clusterAlias,
    source_uuid: options.sourceUuid,
  };
  try {
    // JSON has no undefined: fields that were not given leave the file's alone.
    return JSON.stringify({ ...plain(options.lookups ?? {}), ...JSON.parse(JSON.stringify(fields)) });
  } catch (error) {
    throw new DaysumError({ code: "config", message: `lookups: ${error.message}` }, { cause: error });
  }
}

/** Spread, a list or a file would pass for an object without a single known field. */
function plain(lookups) {
  const object = typeof lookups === "string" ? JSON.parse(lookups) : lookups;
  const kind = Object.prototype.toString.call(object).slice(8, -1);
  if (kind !== "Object") throw new TypeError(`give an object, or JSON text of one, not ${kind}`);
  return object;
}

/** Where no limit is given: far above what an honest month takes. */
export const MEMORY_LIMIT = 2 ** 30;

/** @param {import("./daysum.js").Options} options */
export function runOptionsJson(options, purpose) {
  const { badFiles, rowLimit, memoryLimit = MEMORY_LIMIT, malformedLabels, nodelessVolumes } = options;
  return JSON.stringify({ purpose, badFiles, rowLimit, memoryLimit, malformedLabels, nodelessVolumes });
}

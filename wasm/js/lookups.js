// What the files do not say: enabled keys, cost categories, node roles, the days.

import { DaysumError } from "./errors.js";

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

/** Bytes of which ranges can be read. */
export interface Sliceable {
  readonly size: number;
  readonly name?: string;
  /** The signal aborts when the run is over, whichever way: these bytes are no longer waited for. */
  slice(start: number, end: number, signal: AbortSignal): Bytes | Promise<Bytes> | { arrayBuffer(): Promise<ArrayBuffer> };
}

/** Bytes that are given. Those that come back are `Uint8Array<ArrayBuffer>`, which `Blob`, `fetch` and `crypto` take. */
export type Bytes = ArrayBufferView | ArrayBuffer;

/**
 * A file: a `File` or `Blob` (in Node, what `openAsBlob` makes of a path), bytes, a URL that answers ranges, or any
 * object with `size` and `slice`.
 */
export type Data = Blob | Bytes | URL | string | Sliceable;

/**
 * A file, with a name if it has none or another one is wanted. Names are kept apart in messages, so each is used
 * once. koku's paths (`…/source=…/year=2025/month=11/…`) are understood; without one, the columns decide. Where a URL may
 * be read but not whatever its server redirects to, `redirect: "error"` says so; by default redirects are followed.
 */
export type Input = Data | { name?: string; data: Data; redirect?: "follow" | "error" };

/** What `daysum run --lookups` reads. */
export interface Lookups {
  version?: 1;
  source_uuid?: string;
  year?: number | string;
  month?: number | string;
  start_date?: string;
  end_date?: string;
  days?: readonly (number | string)[];
  report_period_id?: number;
  cluster_id?: string;
  cluster_alias?: string;
  storage_exists?: boolean;
  enabled_tag_keys?: readonly string[];
  cost_categories?: readonly { namespace: string; cost_category_id: number }[];
  nodes?: readonly { node: string; resource_id?: string | null; node_role?: string | null }[];
}

/** What the files do not say. Fields win over those of `lookups`. */
export interface Names {
  /** The lookups file, as an object or as JSON text: of a `File`, its `text()`. */
  lookups?: Lookups | string;
  /** Label keys that are kept. */
  enabledKeys?: readonly string[];
  /** Patterns in SQL's LIKE language over namespaces. */
  costCategories?: readonly { namespace: string; id: number }[];
  /** Which node has which role. */
  nodes?: readonly { node: string; resourceId: string; role: string }[];
  /**
   * First and last day, `YYYY-MM-DD`; without them, the days that the files' statistics tell; `config` where a file has
   * none. `fold` needs them.
   */
  start?: string;
  end?: string;
  clusterId?: string;
  clusterAlias?: string;
  /** Without it, the source that koku's paths name; `config` where they name several. */
  sourceUuid?: string;
  /** What label text does that is neither JSON nor `key:value|…`: ends or holds back, or counts as no labels. */
  malformedLabels?: "refuse" | "empty";
  /** What a volume does whose pods are on no node. */
  nodelessVolumes?: "refuse" | "divide-by-one";
}

export interface FoldOptions extends Names {
  /** Bytes of WebAssembly memory, 1 GiB if not given. An input that needs more ends with code `memory`. */
  memoryLimit?: number;
  /** Ends the run, also while it waits for bytes; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** What this or `onDay` throws ends the run, and the promise rejects with it. */
  onProgress?(progress: Progress): void;
}

export interface Options extends FoldOptions {
  /** Stop after about so many rows, for a quick first look; `report.firstLook` says whether it came to that. */
  rowLimit?: number;
  /** `throw` (default) ends at the first file that cannot be read or had; `hold` holds back its days and goes on. */
  badFiles?: "throw" | "hold";
  /**
   * Called once with each day as soon as it is whole. If a file turns out to be bad only later, `hold` may hold back a
   * day of it that was told already: `days` is what counts.
   */
  onDay?(day: Day): void | Promise<void>;
}

export interface Progress {
  rows: number;
  /** 0 until every footer is read. */
  totalRows: number;
  bytesRead: number;
  file: string | undefined;
}

/** A finished day. */
export interface Day {
  /** `YYYY-MM-DD` */
  day: string;
  rows: number;
  /** Copies that several label sets or cost categories made of line items. */
  fannedOut: number;
  nodesWithoutRole: number;
  /** The rows as an Arrow IPC file: the bytes that `daysum run --format arrow` writes. */
  arrow: Uint8Array<ArrayBuffer>;
}

export type Kind =
  | "pod_daily"
  | "pod_hourly"
  | "pod_capacity"
  | "storage_daily"
  | "storage_hourly"
  | "node_labels"
  | "namespace_labels";

/** rowsIn = rowsAggregated + every rowsFiltered + rowsQuarantined */
export interface Report {
  rowsIn: number;
  rowsAggregated: number;
  rowsFiltered: { outOfRange: number; otherMonth: number; noNode: number; anomalous: number };
  rowsQuarantined: number;
  rowsFannedOut: number;
  rowsOut: number;
  nodesWithoutRole: number;
  /** Label texts that were malformed and stand for no labels. */
  malformedLabels: number;
  totalRows: number;
  firstLook: boolean;
  /** The days that were asked for, or that the files hold; null where neither is known, as no file can be read. */
  range: [string, string] | null;
  /** Fields of `lookups` that have no meaning: likely misspelled. */
  unknownLookups: string[];
  daysHeld: string[];
  /**
   * `kind` is null where a file is not read: another table, another month, an hourly form beside the daily one.
   * `missingColumns` are those that koku always writes and that read as NULL.
   */
  files: { name: string; kind: Kind | null; rows: number; rowGroups: number; missingColumns: string[] }[];
  /** Without days where nothing tells which they would be. */
  quarantined: (ErrorFacts & { firstDay: string | null; lastDay: string | null })[];
  bytesRead: number;
  /** Bytes of WebAssembly memory that this run took; it only grows while a run lasts. */
  peakMemory: number;
}

export type ErrorCode =
  | "format"
  | "schema"
  | "value"
  | "overflow"
  | "overlap"
  | "config_mismatch"
  | "wire_version"
  | "wire"
  | "config"
  /** The bytes could not be had. */
  | "source"
  /** Above the memory limit. */
  | "memory"
  /** The engine ended: the file is damaged in a way it does not expect, or too large. Later calls work. */
  | "trap"
  /** The engine could not be loaded. The next call tries again. */
  | "engine"
  /** A defect of daysum. */
  | "internal";

export interface ErrorFacts {
  code: ErrorCode;
  message: string;
  file?: string | null;
  rowGroup?: number | null;
  row?: number | null;
  column?: string | null;
}

export class DaysumError extends Error {
  constructor(told: ErrorFacts, options?: { cause?: unknown });
  readonly code: ErrorCode;
  readonly file?: string;
  readonly rowGroup?: number;
  readonly row?: number;
  readonly column?: string;
  /** What `new DaysumError` takes: errors lose their class when they are posted between threads. */
  toJSON(): ErrorFacts;
}

export type Labels = Record<string, string | null>;

/** One row of `reporting_ocpusagelineitem_daily_summary`. */
export interface Row {
  report_period_id: number | null;
  cluster_id: string;
  cluster_alias: string;
  data_source: "Pod" | "Storage";
  usage_start: string;
  usage_end: string;
  namespace: string | null;
  node: string | null;
  resource_id: string | null;
  pod_labels: Labels | null;
  pod_usage_cpu_core_hours: number | null;
  pod_request_cpu_core_hours: number | null;
  pod_effective_usage_cpu_core_hours: number | null;
  pod_limit_cpu_core_hours: number | null;
  pod_usage_memory_gigabyte_hours: number | null;
  pod_request_memory_gigabyte_hours: number | null;
  pod_effective_usage_memory_gigabyte_hours: number | null;
  pod_limit_memory_gigabyte_hours: number | null;
  node_capacity_cpu_cores: number | null;
  node_capacity_cpu_core_hours: number | null;
  node_capacity_memory_gigabytes: number | null;
  node_capacity_memory_gigabyte_hours: number | null;
  cluster_capacity_cpu_core_hours: number | null;
  cluster_capacity_memory_gigabyte_hours: number | null;
  persistentvolumeclaim: string | null;
  persistentvolume: string | null;
  storageclass: string | null;
  volume_labels: Labels | null;
  all_labels: Labels | null;
  persistentvolumeclaim_capacity_gigabyte: number | null;
  persistentvolumeclaim_capacity_gigabyte_months: number | null;
  volume_request_storage_gigabyte_months: number | null;
  persistentvolumeclaim_usage_gigabyte_months: number | null;
  source_uuid: string;
  infrastructure_usage_cost: { cpu: number; memory: number; storage: number } | null;
  cost_category_id: number | null;
}

/** A day at a glance: core-hours, gigabyte-hours and, for storage, gigabyte-months. */
export interface Overview {
  cpuCapacity: number;
  memoryCapacity: number;
  namespaces: {
    namespace: string | null;
    /** Capacity that no workload used. */
    unallocated: boolean;
    rows: number;
    cpuUsage: number;
    cpuRequest: number;
    cpuEffective: number;
    memoryUsage: number;
    memoryRequest: number;
    memoryEffective: number;
    storageCapacity: number;
    storageRequest: number;
    storageUsage: number;
  }[];
}

export type Format = "parquet" | "csv" | "arrow" | "jsonl";

/** Finished days of any number of files of all four kinds. */
export function summarize(files: Input | Iterable<Input>, options?: Options): Promise<{ days: Day[]; report: Report }>;

/** A state file, as `daysum fold` writes it: `daysum merge` takes it. */
export function fold(
  files: Input | Iterable<Input>,
  options: FoldOptions,
): Promise<{ state: Uint8Array<ArrayBuffer>; report: Report }>;

/** Days, or their Arrow files. */
export type Finished = Day | Bytes;

/** Days as one file. */
export function encode(days: Finished | readonly Finished[], format: Format): Promise<Uint8Array<ArrayBuffer>>;

/** Days as objects. */
export function rows(days: Finished | readonly Finished[]): Promise<Row[]>;

/** Sums of a day by namespace. */
export function overview(day: Finished): Promise<Overview>;

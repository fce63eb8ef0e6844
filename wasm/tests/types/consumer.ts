// Every function and option as a consumer writes them, and wrong uses that the types must refuse. Compiled, never run.
import * as daysum from "daysum";
import { DaysumError, encode, fold, overview, rows, summarize } from "daysum";
import type {
  Bytes,
  Data,
  Day,
  ErrorCode,
  ErrorFacts,
  Finished,
  FoldOptions,
  Format,
  Input,
  Kind,
  Labels,
  Lookups,
  Names,
  Options,
  Overview,
  Progress,
  Report,
  Row,
  Sliceable,
} from "daysum";

/** Equal both ways, so that neither `any` nor a wider type passes. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(..._: Same<A, B> extends true ? [] : ["these types differ"]): void {}

declare const bytes: Uint8Array;
declare const blob: Blob;

// Files
const slices: Sliceable = { size: 4, name: "a.parquet", slice: (start, end) => bytes.subarray(start, end) };
const later: Sliceable = { size: 4, slice: async (start: number, end: number) => bytes.slice(start, end) };
const views: Bytes = new DataView(new ArrayBuffer(4));
const aborted: Sliceable = { size: 4, slice: async (start, end, signal) => (signal.throwIfAborted(), bytes.slice(start, end)) };
const blobs: Sliceable = { size: 4, slice: (start, end) => blob.slice(start, end) };
const buffer = new ArrayBuffer(4);
const data: Data[] = [blob, bytes, buffer, views, new URL("https://example.com/a.parquet"), "https://example.com/b.parquet", slices, later, aborted, blobs];
const strict: Input = { data: "https://example.com/a.parquet", redirect: "error" };
const inputs: Input[] = [strict, ...data, ...data.map((data, index) => ({ name: `${index}.parquet`, data }))];

// Options: with Required, one that is added is missed here until it is used.
const lookups: Required<Lookups> = {
  version: 1,
  source_uuid: "s",
  year: "2025",
  month: 11,
  start_date: "2025-11-01",
  end_date: "2025-11-30",
  days: [1, "2"],
  report_period_id: 1,
  cluster_id: "c",
  cluster_alias: "a",
  storage_exists: true,
  enabled_tag_keys: ["app"],
  cost_categories: [{ namespace: "kube-%", cost_category_id: 1 }],
  nodes: [{ node: "n" }, { node: "m", resource_id: null, node_role: "worker" }],
};
const names: Required<Names> = {
  lookups,
  enabledKeys: ["app", "team"],
  costCategories: [{ namespace: "kube-%", id: 1 }],
  nodes: [{ node: "n", resourceId: "i-1", role: "worker" }],
  start: "2025-11-01",
  end: "2025-11-30",
  clusterId: "c",
  clusterAlias: "a",
  sourceUuid: "s",
  malformedLabels: "empty",
  nodelessVolumes: "divide-by-one",
};
const foldOptions: Required<FoldOptions> = {
  ...names,
  memoryLimit: 2 ** 30,
  signal: new AbortController().signal,
  onProgress(progress) {
    same<typeof progress, Progress>();
    const told: Required<Progress> = { rows: 1, totalRows: 0, bytesRead: 1, file: undefined };
    return [told.rows, progress.rows, progress.totalRows, progress.bytesRead, progress.file?.length];
  },
};
const options: Required<Options> = {
  ...foldOptions,
  rowLimit: 100,
  badFiles: "hold",
  async onDay(day) {
    same<typeof day, Day>();
  },
};
const frozen: readonly string[] = ["app"];
const readonlyOptions: Options = { enabledKeys: frozen, costCategories: [] as const, nodes: [] as const, lookups: { enabled_tag_keys: frozen } };
const defaults: Options = { lookups: "{}", badFiles: "throw", malformedLabels: "refuse", nodelessVolumes: "refuse", onDay() {} };

// Functions; the record names every export.
const every: Record<keyof typeof daysum, true> = { DaysumError: true, encode: true, fold: true, overview: true, rows: true, summarize: true };

export async function uses() {
  await summarize(blob);
  await summarize(new Set(inputs), defaults);
  await summarize(inputs as readonly Input[], readonlyOptions);
  const { days, report } = await summarize(inputs, options);
  same<typeof days, Day[]>();
  same<typeof report, Report>();
  const folded = await fold(inputs, foldOptions);
  same<typeof folded, { state: Uint8Array<ArrayBuffer>; report: Report }>();
  const [day] = days;
  same<typeof day.arrow, Uint8Array<ArrayBuffer>>();
  const formats: Record<Format, true> = { parquet: true, csv: true, arrow: true, jsonl: true };
  for (const format of Object.keys(formats) as Format[]) await encode(days, format);
  const finished: readonly Finished[] = [day, day.arrow, day.arrow.buffer, bytes];
  const csv = await encode(finished, "csv");
  same<typeof csv, Uint8Array<ArrayBuffer>>();
  // What bytes are for; none of it takes those that may lie in shared memory.
  await fetch("https://example.com/", { method: "PUT", body: csv });
  await crypto.subtle.digest("SHA-256", folded.state);
  const uses: [Blob, Response] = [new Blob([csv, day.arrow]), new Response(csv)];
  const all = [...(await rows(days)), ...(await rows(day)), ...(await rows(day.arrow))];
  same<typeof all, Row[]>();
  const [row] = all;
  same<typeof row.pod_labels, Labels | null>();
  same<typeof row.data_source, "Pod" | "Storage">();
  same<typeof row.infrastructure_usage_cost, { cpu: number; memory: number; storage: number } | null>();
  const glance: Overview = await overview(day.arrow);
  const { rowsFiltered: filtered, files, quarantined, range } = report;
  same<(typeof files)[number]["kind"], Kind | null>();
  same<typeof range, [string, string] | null>();
  const held: ErrorFacts[] = quarantined;
  same<(typeof quarantined)[number]["firstDay"], string | null>();
  same<Labels[string], string | null>();
  const texts: string[] = [
    ...[day.day, row.usage_start, ...report.unknownLookups],
    ...[...report.daysHeld, ...held.map(({ message }) => message), ...files[0].missingColumns],
  ];
  const numbers: number[] = [
    ...[day.rows, day.fannedOut, day.nodesWithoutRole, report.rowsIn, report.rowsAggregated, report.rowsQuarantined],
    ...[report.rowsFannedOut, report.rowsOut, report.nodesWithoutRole, report.malformedLabels, report.totalRows, report.bytesRead, report.peakMemory],
    ...[filtered.outOfRange, filtered.otherMonth, filtered.noNode, filtered.anomalous, files[0].rows, files[0].rowGroups],
    ...[glance.cpuCapacity, glance.memoryCapacity, ...glance.namespaces.map(({ cpuUsage }) => cpuUsage)],
  ];
  const flags: boolean[] = [report.firstLook, glance.namespaces[0].unallocated];
  return { texts, numbers, flags, every, uses };
}

/** Errors of one's own, and errors from another thread. */
export function posted(error: DaysumError): DaysumError[] {
  const facts: ErrorFacts = error.toJSON();
  return [new DaysumError(facts), new DaysumError({ code: "config", message: "POST a file" }, { cause: error })];
}

export function told(error: unknown): ErrorCode | undefined {
  if (!(error instanceof DaysumError)) return undefined;
  const { code, file, rowGroup, row, column, message }: Error & ErrorFacts = error;
  same<typeof error.row, number | undefined>();
  return [file, rowGroup, row, column, message].length > 0 && code === "trap" ? "engine" : error.code;
}

export async function refused(day: Day, row: Row, report: Report, error: DaysumError) {
  // @ts-expect-error: nothing to read
  await summarize();
  // @ts-expect-error: a number is no file
  await summarize(5);
  // @ts-expect-error: slice without size
  await summarize({ slice: () => bytes });
  // @ts-expect-error: a name without data
  await summarize([{ name: "a.parquet" }]);
  // @ts-expect-error: follow or error
  await summarize({ data: "https://example.com/a.parquet", redirect: "manual" });
  // @ts-expect-error: slices are bytes
  await summarize({ size: 1, slice: () => "text" });
  // @ts-expect-error: no such option
  await summarize(blob, { enabledkeys: ["app"] });
  // @ts-expect-error: keys are a list
  await summarize(blob, { enabledKeys: "app" });
  // @ts-expect-error: koku's name of the field belongs to lookups
  await summarize(blob, { costCategories: [{ namespace: "a", cost_category_id: 1 }] });
  // @ts-expect-error: no such role field
  await summarize(blob, { nodes: [{ node: "n", resourceId: "i", node_role: "worker" }] });
  // @ts-expect-error: days are text
  await summarize(blob, { start: new Date() });
  // @ts-expect-error: bytes are counted
  await summarize(blob, { memoryLimit: "1 GiB" });
  // @ts-expect-error: throw or hold
  await summarize(blob, { badFiles: "skip" });
  // @ts-expect-error: refuse or empty
  await summarize(blob, { malformedLabels: "hold" });
  // @ts-expect-error: refuse or divide-by-one
  await summarize(blob, { nodelessVolumes: "empty" });
  // @ts-expect-error: the controller is not its signal
  await summarize(blob, { signal: new AbortController() });
  // @ts-expect-error: another version of lookups
  await summarize(blob, { lookups: { version: 2 } });
  // @ts-expect-error: progress has no percentage
  await summarize(blob, { onProgress: ({ percent }) => percent });
  // @ts-expect-error: onDay hears a day
  await summarize(blob, { onDay: (day: string) => {} });
  // @ts-expect-error: fold needs its options
  await fold(blob);
  // @ts-expect-error: a state is whole: fold holds nothing back
  await fold(blob, { start: "2025-11-01", end: "2025-11-01", badFiles: "hold" });
  // @ts-expect-error: a state is whole: fold takes no first look
  await fold(blob, { start: "2025-11-01", end: "2025-11-01", rowLimit: 1 });
  // @ts-expect-error: no such format
  await encode(day, "xlsx");
  // @ts-expect-error: a format must be named
  await encode(day);
  // @ts-expect-error: rows are made of days
  await rows(report);
  // @ts-expect-error: one day at a time
  await overview([day]);
  // @ts-expect-error: a promise
  rows(day).length;
  // @ts-expect-error: may be null
  row.namespace.length;
  // @ts-expect-error: may be null
  row.pod_labels.app;
  // @ts-expect-error: no such column
  row.pod_usage;
  // @ts-expect-error: may be null
  report.files[0].kind.length;
  // @ts-expect-error: a code belongs to it
  new DaysumError("text");
  // @ts-expect-error: no such code
  if (error.code === "oom") return;
  // @ts-expect-error: errors are read
  error.code = "trap";
}

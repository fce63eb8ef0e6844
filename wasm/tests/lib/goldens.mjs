// The golden data sets, and what the native command makes of them.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../../", import.meta.url));
const root = join(repository, "tests/data/golden");

/** Runs the native command. Without it a test would compare nothing, so its absence is an error. */
export function native(...args) {
  const paths = [process.env.DAYSUM, "target/release/daysum", "target/debug/daysum"].filter(Boolean);
  const command = paths.map((path) => resolve(repository, path)).find((path) => existsSync(path));
  if (!command) throw new Error("build the native command first (cargo build --bin daysum), or name it in DAYSUM");
  execFileSync(command, args, { stdio: "pipe" });
}

export function goldens() {
  const names = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (names.length < 30) throw new Error(`only ${names.length} golden data sets in ${root}`);
  return names.map(({ name }) => read(join(root, name), name)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function golden(name) {
  return read(join(root, name), name);
}

function read(directory, name) {
  return {
    name,
    directory,
    lookups: JSON.parse(readFileSync(join(directory, "params.json"), "utf8")),
    files: filesBelow(join(directory, "input")),
    expected: readFileSync(join(directory, "expected.parquet")),
  };
}

/** Parquet files with their paths below the directory as names. */
export function filesBelow(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".parquet"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
    .map((path) => ({ name: relative(directory, path), path, data: new Uint8Array(readFileSync(path)) }));
}

/** What `daysum run --format arrow` writes: day -> bytes. */
export function nativeDays(input, lookups) {
  const output = mkdtempSync(join(tmpdir(), "daysum-"));
  try {
    native("run", input, "--lookups", lookups, "--output", output, "--format", "arrow");
    return daysIn(output);
  } finally {
    rmSync(output, { recursive: true });
  }
}

/** The `.arrow` files below a directory: day -> bytes. */
export function daysIn(directory) {
  const files = readdirSync(directory, { recursive: true }).filter((name) => name.endsWith(".arrow")).sort();
  return new Map(files.map((name) => [name.slice(-16, -6), readFileSync(join(directory, name))]));
}

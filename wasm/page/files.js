// Dropped and chosen files, folders included, each with a path.

/** @returns {Promise<{path: string, data: File}[]>} */
export async function dropped(transfer) {
  // Entries are only there while the event is handled, so they are all taken before the first wait.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return chosen(transfer.files);
  const files = [];
  for (const entry of entries) await collect(entry, files);
  return files;
}

export function chosen(list) {
  return [...list].map((data) => ({ path: data.webkitRelativePath || data.name, data }));
}

async function collect(entry, files) {
  if (entry.isFile) {
    const data = await new Promise((resolve, reject) => entry.file(resolve, reject));
    files.push({ path: entry.fullPath.replace(/^\//, ""), data });
    return;
  }
  const reader = entry.createReader();
  // A reader tells a hundred entries at a time, and nothing at the end.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const below of some) await collect(below, files);
  }
}

/**
 * Parquet files, and the lookups file if one is among them; other JSON, such as an operator's manifest, is not for us.
 * Hidden are those that a system puts beside files: macOS's `._pods.parquet` is no Parquet.
 */
export async function sorted(files) {
  const named = (pattern) => files.filter(({ path }) => pattern.test(path.split("/").at(-1)));
  const [lookups, ...more] = named(/^(lookups|params)\.json$/i);
  if (more.length > 0) {
    const all = [lookups, ...more].map(({ path }) => path).join(", ");
    throw new Error(`Only one file can be the lookups; there are ${all}.`);
  }
  return {
    parquet: named(/^[^.].*\.parquet$/i),
    hidden: named(/^\..*\.parquet$/i),
    lookups: lookups && { path: lookups.path, text: await lookups.data.text() },
  };
}

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

/** Parquet files, and the lookups file if one is among them; other JSON, such as an operator's manifest, is not for us. */
export async function sorted(files) {
  const parquet = files.filter(({ path }) => path.toLowerCase().endsWith(".parquet"));
  const named = (pattern) => files.find(({ path }) => pattern.test(path));
  const lookups = named(/lookups\.json$/i) ?? named(/(^|\/)params\.json$/i);
  return { parquet, lookups: await lookups?.data.text() };
}

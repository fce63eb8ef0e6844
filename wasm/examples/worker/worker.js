// A fetch handler: POST a Parquet file, get its days back as JSON; or name one that answers ranges.
//
//   curl --data-binary @pods.parquet 'https://…/?keys=app,team'
//   curl 'https://…/?url=https://…/pods.parquet'
//
// Only the hosts in ALLOWED_HOSTS are read from, wherever they redirect to: an open handler would fetch whatever anybody
// names.

import { DaysumError, overview, summarize } from "daysum";

const LARGEST_BODY = 32 * 1024 * 1024;

export default {
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    try {
      const input = await inputOf(request, searchParams.get("url"), env);
      const { days, report } = await summarize(input, {
        enabledKeys: searchParams.get("keys")?.split(","),
        start: searchParams.get("start") ?? undefined,
        end: searchParams.get("end") ?? undefined,
        memoryLimit: 100 * 1024 * 1024, // of the 128 MiB that workers commonly have
        signal: request.signal,
      });
      const answer = [];
      for (const day of days) answer.push({ day: day.day, rows: day.rows, ...(await overview(day)) });
      return Response.json({ days: answer, report });
    } catch (error) {
      if (error instanceof DaysumError) return Response.json(error, { status: 422 });
      throw error;
    }
  },
};

async function inputOf(request, url, env) {
  if (url === null) {
    if (request.method !== "POST") throw new DaysumError({ code: "config", message: "POST a file, or give ?url=" });
    return { name: "upload.parquet", data: await bodyOf(request) };
  }
  const allowed = (env.ALLOWED_HOSTS ?? "").split(",");
  if (!URL.canParse(url) || !allowed.includes(new URL(url).host)) {
    throw new DaysumError({ code: "config", message: `${url} is on no host of ALLOWED_HOSTS` });
  }
  return { data: url, redirect: "error" };
}

/** The body, unless it is too large: its length is not always told beforehand. */
async function bodyOf(request) {
  const parts = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > LARGEST_BODY) throw new DaysumError({ code: "memory", message: `the body is above ${LARGEST_BODY} bytes` });
    parts.push(part);
  }
  return new Blob(parts);
}

/** What went wrong, and where: `code` is stable, the message is for a person. */
export class DaysumError extends Error {
  /** @param {{code: string, message: string, file?: string, rowGroup?: number, row?: number, column?: string}} told */
  constructor(told, options) {
    super(told.message, options);
    this.name = "DaysumError";
    this.code = told.code;
    this.file = told.file ?? undefined;
    this.rowGroup = told.rowGroup ?? undefined;
    this.row = told.row ?? undefined;
    this.column = told.column ?? undefined;
  }

  /** Errors lose their class when they are posted between threads. */
  toJSON() {
    const { code, message, file, rowGroup, row, column } = this;
    return { code, message, file, rowGroup, row, column };
  }
}

/** The interface was used in a way that it does not know. */
export function misuse(message, file) {
  return new DaysumError({ code: "config", message: file === undefined ? message : `${file}: ${message}`, file });
}

/**
 * Whatever was thrown, as a DaysumError.
 * @param {unknown} thrown
 * @param {string} [file] the file that was being read
 */
export function asDaysumError(thrown, file) {
  if (thrown instanceof DaysumError) return thrown;
  if (typeof thrown === "string" && thrown.startsWith("{")) return new DaysumError(JSON.parse(thrown));
  if (isTrap(thrown)) {
    const message = `${file ?? "the input"}: decoding it ended the engine (${thrown.message}); the file is damaged or too large`;
    return new DaysumError({ code: "trap", message, file }, { cause: thrown });
  }
  const message = `${file ?? "the input"}: a defect of daysum: ${thrown?.message ?? thrown}`;
  return new DaysumError({ code: "internal", message, file }, { cause: thrown });
}

/** Whatever reading threw, whatever its class: no such error is a trap. */
export function unreadable(thrown, file) {
  if (thrown instanceof DaysumError) return thrown;
  const message = `${file}: cannot be read: ${thrown?.message ?? thrown}`;
  return new DaysumError({ code: "source", message, file }, { cause: thrown });
}

/** A trap leaves the instance unusable; running out of stack or of memory does so, too. */
export function isTrap(thrown) {
  return thrown instanceof WebAssembly.RuntimeError || thrown instanceof RangeError;
}

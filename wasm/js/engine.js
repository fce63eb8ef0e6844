// Instances of the engine: one compiled module, an instance for each run.
//
// A trap leaves an instance unusable, and its memory never shrinks: a run takes an instance that nothing has used, so
// that limits and reports are about this run alone. Smaller work shares one, for as long as it goes well and is small.

import { instantiate } from "./core.js";
import { DaysumError } from "./errors.js";

/** Above this an instance is thrown away: nothing gives its memory back to the system otherwise. */
const SMALL = 64 * 1024 * 1024;

export class Engine {
  #load;
  #advice;
  #module;
  #idle = [];

  /**
   * @param {() => Promise<WebAssembly.Module>} load compiles the module; called once, again if it failed
   * @param {string} [advice] what else to do then
   */
  constructor(load, advice) {
    this.#load = load;
    this.#advice = advice;
  }

  /**
   * Runs `work` with an instance that may have done other work before.
   * @template T
   * @param {(core: any) => Promise<T> | T} work
   * @returns {Promise<T>}
   */
  async with(work) {
    const core = this.#idle.pop() ?? (await this.fresh());
    const result = await work(core);
    // Not reached after an error: whatever that left behind goes with the instance.
    if (core.memory.buffer.byteLength <= SMALL && this.#idle.length === 0) this.#idle.push(core);
    return result;
  }

  /** An instance that nothing has used. */
  async fresh() {
    this.#module ??= this.#load();
    try {
      return instantiate(await this.#module);
    } catch (error) {
      this.#module = undefined;
      const told = `the engine could not be loaded: ${error.message}`;
      const message = this.#advice ? `${told}; ${this.#advice}` : told;
      throw new DaysumError({ code: "engine", message }, { cause: error });
    }
  }
}

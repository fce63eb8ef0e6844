//! daysum for browsers, Node and edge workers: the engine of `daysum-core` behind a few JavaScript calls.
//!
//! ```text
//! run = new Run(lookups, options); run.add(name, size) …; run.start()
//! loop: ranges = run.step()   [start, end, …] of run.file: JavaScript reads them, run.supply(bytes) each
//!                             []             : progress; run.takeDay() says whether a day is whole
//!       until run.done
//! ```
//!
//! Nothing here waits or reads: whoever calls does. `js/` holds the comfortable side of it.
//!
//! The surprise worth knowing: a panic ends the whole instance (it is a trap, there is no unwinding), so the
//! JavaScript side gives every run an instance that it can throw away.

mod arrow_file;
mod encode;
mod error;
mod files;
mod options;
mod overview;
mod parquet;
mod reading;
mod report;
mod run;

use wasm_bindgen::prelude::wasm_bindgen;

pub use encode::Encoder;
pub use error::Told;
pub use overview::overview;

use run::Session;

/// A run over several files.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Run(Session);

#[wasm_bindgen]
impl Run {
    /// A run under these lookups and options, both JSON.
    #[wasm_bindgen(constructor)]
    pub fn new(lookups: &str, options: &str) -> Result<Run, Told> {
        Ok(Self(Session::new(lookups, options)?))
    }

    /// Adds a file. `version` changes whenever its content does.
    pub fn add(&mut self, name: &str, size: f64, version: Option<String>) -> Result<(), Told> {
        self.0.add(name, size, version)
    }

    /// Leaves out a file that an earlier attempt could not read; its days are held back. `error` is the JSON
    /// of an error.
    pub fn refuse(&mut self, file: usize, error: &str) -> Result<(), Told> {
        self.0.refuse(file, error)
    }

    /// Goes on: the byte ranges to read of [`file`](Self::file), as `[start, end, …]`, or nothing.
    pub fn step(&mut self) -> Result<Vec<f64>, Told> {
        self.0.step()
    }

    /// Hands over the bytes of the next range that `step` asked for.
    pub fn supply(&mut self, bytes: Vec<u8>) -> Result<(), Told> {
        self.0.supply(bytes)
    }

    /// Which file is being read.
    #[wasm_bindgen(getter)]
    pub fn file(&self) -> usize {
        self.0.file()
    }

    /// Whether everything is done.
    #[wasm_bindgen(getter)]
    pub fn done(&self) -> bool {
        self.0.is_done()
    }

    /// Rows folded so far.
    #[wasm_bindgen(getter)]
    pub fn rows(&self) -> f64 {
        self.0.rows() as f64
    }

    /// Rows to fold in all, once every footer is read.
    #[wasm_bindgen(getter, js_name = totalRows)]
    pub fn total_rows(&self) -> f64 {
        self.0.total_rows() as f64
    }

    /// Moves to the next day that is finished; false where there is none.
    #[wasm_bindgen(js_name = nextDay)]
    pub fn next_day(&mut self) -> bool {
        self.0.next_day()
    }

    /// What is known of that day, as JSON.
    #[wasm_bindgen(js_name = dayFacts)]
    pub fn day_facts(&self) -> String {
        self.0.day_facts()
    }

    /// Its rows, as an Arrow IPC file.
    #[wasm_bindgen(js_name = dayRows)]
    pub fn day_rows(&self) -> Result<Vec<u8>, Told> {
        self.0.day_rows()
    }

    /// What became of the rows, as JSON.
    pub fn report(&self) -> String {
        self.0.report()
    }

    /// The folded state, for a run that folds only.
    pub fn state(&self) -> Result<Vec<u8>, Told> {
        self.0.state()
    }
}

//! Folded states from anywhere: merged, and finished into days.

use std::collections::VecDeque;
use std::sync::Arc;

use daysum_core::{Day, DayState, DaySummary, FoldConfig, Lookups, PartialState, Policy};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::encode::arrow_file;
use crate::error::Told;
use crate::options::RunOptions;
use crate::report::DayFacts;

/// A state, as `daysum fold` writes it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct State {
    state: PartialState,
    left: VecDeque<(Day, DayState)>,
    policy: Option<Policy>,
    day: Option<DaySummary>,
}

#[wasm_bindgen]
impl State {
    /// Reads a state.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Vec<u8>) -> Result<State, Told> {
        let state = PartialState::decode(bytes.into())?;
        Ok(Self { state, left: VecDeque::new(), policy: None, day: None })
    }

    /// Takes in another one; refuses a row group that is inside already.
    pub fn merge(&mut self, bytes: Vec<u8>) -> Result<(), Told> {
        Ok(self.state.merge(PartialState::decode(bytes.into())?)?)
    }

    /// The state as a file.
    pub fn encode(&self) -> Result<Vec<u8>, Told> {
        Ok(self.state.encode()?.into())
    }

    /// Begins to finish the days, under the lookups it was folded with.
    pub fn finalise(&mut self, lookups: &str, options: &str) -> Result<(), Told> {
        let lookups = Lookups::from_json(lookups.as_bytes())?;
        let options = RunOptions::from_json(options)?;
        // Refuses lookups under which other rows would have been folded.
        self.state.merge(PartialState::empty(Arc::new(FoldConfig::new(&lookups, options.fold())?)))?;
        self.policy = Some(Policy::new(&lookups, options.policy())?);
        self.left = self.state.take_days().into_iter().collect();
        Ok(())
    }

    /// Moves to the next day that has rows; false where there is none.
    #[wasm_bindgen(js_name = nextDay)]
    pub fn next_day(&mut self) -> Result<bool, Told> {
        self.day = None;
        let policy = self.policy.as_ref().ok_or_else(|| Told::config("finalise comes first"))?;
        while let Some((day, state)) = self.left.pop_front() {
            let summary = state.finalise(day, self.state.config(), policy)?;
            if summary.rows.num_rows() > 0 {
                self.day = Some(summary);
                break;
            }
        }
        Ok(self.day.is_some())
    }

    /// What is known of that day, as JSON.
    #[wasm_bindgen(js_name = dayFacts)]
    pub fn day_facts(&self) -> String {
        self.day.as_ref().map(DayFacts::json).unwrap_or_default()
    }

    /// Its rows, as an Arrow IPC file.
    #[wasm_bindgen(js_name = dayRows)]
    pub fn day_rows(&self) -> Result<Vec<u8>, Told> {
        let day = self.day.as_ref().ok_or_else(|| Told::config("there is no current day"))?;
        arrow_file(&day.rows)
    }
}

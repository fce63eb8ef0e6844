//! What a caller chooses beyond the lookups.

use daysum_core::finalise::OnNodelessVolume;
use daysum_core::labels::OnMalformed;
use daysum_core::{FoldOptions, PolicyOptions};
use serde::Deserialize;

use crate::error::Told;

/// The options as the JavaScript side writes them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RunOptions {
    /// Finish days, or only fold a state.
    pub(crate) purpose: Purpose,
    /// What a file or row group that cannot be read does.
    pub(crate) bad_files: BadFiles,
    /// Stop after about so many rows: a first look.
    pub(crate) row_limit: Option<u64>,
    /// Bytes that the largest pages of all columns may take together, decompressed.
    pub(crate) memory_limit: Option<u64>,
    /// What malformed label text does.
    pub(crate) malformed_labels: OnMalformed,
    /// What a volume on no node does.
    pub(crate) nodeless_volumes: OnNodelessVolume,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Purpose {
    /// Finished days.
    #[default]
    Summarize,
    /// One state that `daysum merge` takes.
    Fold,
}

/// What happens to what cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum BadFiles {
    /// It ends the run.
    #[default]
    Throw,
    /// It holds back its days; the others are finished.
    Hold,
}

impl RunOptions {
    pub(crate) fn from_json(json: &str) -> Result<Self, Told> {
        let options: Self =
            serde_json::from_str(json).map_err(|error| Told::config(format!("options: {error}")))?;
        if options.purpose == Purpose::Fold && (options.row_limit.is_some() || options.holds()) {
            // Its coverage would say that rows are inside which are not.
            return Err(Told::config("a folded state holds every row: no rowLimit and no badFiles 'hold'"));
        }
        Ok(options)
    }

    pub(crate) fn holds(&self) -> bool {
        self.bad_files == BadFiles::Hold
    }

    pub(crate) fn fold(&self) -> FoldOptions {
        FoldOptions { on_malformed_labels: self.malformed_labels }
    }

    pub(crate) fn policy(&self) -> PolicyOptions {
        PolicyOptions { on_nodeless_volume: self.nodeless_volumes }
    }
}

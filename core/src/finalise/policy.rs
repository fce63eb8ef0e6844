//! What finishing needs beyond the state: identity, cost categories, node roles.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::roles::{Nodes, Roles};
use crate::error::{Error, Result};
use crate::like::Categories;
use crate::lookups::{Lookups, NodeRole};
use crate::state::fingerprint;

/// What to do with a volume whose matched pods all have NULL as their node (SPEC 2.7 case 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNodelessVolume {
    /// An error, as the division by zero is in koku's SQL.
    #[default]
    Refuse,
    /// Divide by one.
    DivideByOne,
}

/// Choices that the lookups do not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicyOptions {
    /// What to do with volumes on no node.
    pub on_nodeless_volume: OnNodelessVolume,
}

/// How finished rows are named, categorised and attributed. Cloning shares the tables.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(super) report_period_id: Option<i32>,
    pub(super) cluster_id: String,
    pub(super) cluster_alias: String,
    pub(super) source_uuid: String,
    pub(super) categories: Arc<Categories>,
    pub(super) on_nodeless_volume: OnNodelessVolume,
    pub(super) roles: Arc<Roles>,
    fingerprint: String,
}

/// Every row carries these; koku's columns take a quarter of it.
const LONGEST_NAME: usize = 1024;

impl Policy {
    /// Reads what finishing needs out of the lookups.
    pub fn new(lookups: &Lookups, options: PolicyOptions) -> Result<Self> {
        for (name, text) in [
            ("cluster_id", &lookups.cluster_id),
            ("cluster_alias", &lookups.cluster_alias),
            ("source_uuid", &lookups.source_uuid),
        ] {
            if text.len() > LONGEST_NAME {
                return Err(Error::config(format!("lookups: {name} has more than {LONGEST_NAME} bytes")));
            }
        }
        let mut categories: Vec<_> =
            lookups.cost_categories.iter().map(|of| (&of.namespace, of.cost_category_id)).collect();
        categories.sort_unstable();
        let source_uuid = lookups.source_uuid.to_lowercase();
        let told = serde_json::json!([
            lookups.report_period_id,
            lookups.cluster_id,
            lookups.cluster_alias,
            source_uuid,
            categories,
            options,
        ]);
        Ok(Self {
            report_period_id: lookups.report_period_id,
            cluster_id: lookups.cluster_id.clone(),
            cluster_alias: lookups.cluster_alias.clone(),
            source_uuid,
            categories: Arc::new(Categories::new(&lookups.cost_categories)?),
            on_nodeless_volume: options.on_nodeless_volume,
            roles: Arc::new(Roles::of(&lookups.nodes)),
            fingerprint: fingerprint(&told),
        })
    }

    /// The same with another registry of nodes.
    pub fn with_nodes(&self, nodes: &[NodeRole]) -> Self {
        Self { roles: Arc::new(Roles::of(nodes)), ..self.clone() }
    }

    /// Equal where the same state finishes to the same rows, as far as its nodes have the same roles.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether a day that has this [fingerprint](crate::DaySummary::fingerprint), whoever finished it, would have the same
    /// rows under this policy, if its state is the same. Roles of nodes that the day does not have do not matter.
    pub fn stands(&self, fingerprint: &str) -> bool {
        fingerprint
            .split_once('-')
            .is_some_and(|(policy, roles)| policy == self.fingerprint && self.roles.stands(roles))
    }

    pub(super) fn fingerprint_of(&self, nodes: &Nodes) -> String {
        format!("{}-{}", self.fingerprint, self.roles.fingerprint(nodes))
    }
}

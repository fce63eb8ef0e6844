//! What finishing needs beyond the state: identity, cost categories, node roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::like::Categories;
use crate::lookups::Lookups;
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
    /// Largest role by node and resource id, over the whole tenant (SPEC 2.9).
    roles: Arc<BTreeMap<(String, String), String>>,
    fingerprint: String,
}

impl Policy {
    /// Reads what finishing needs out of the lookups.
    pub fn new(lookups: &Lookups, options: PolicyOptions) -> Result<Self> {
        let mut roles: BTreeMap<(String, String), String> = BTreeMap::new();
        for node in &lookups.nodes {
            // NULL resource ids match nothing; a NULL role is no role.
            let (Some(resource_id), Some(role)) = (&node.resource_id, &node.node_role) else { continue };
            let known = roles.entry((node.node.clone(), resource_id.clone())).or_default();
            if *role > *known {
                known.clone_from(role);
            }
        }
        let told = serde_json::json!([
            lookups.report_period_id,
            lookups.cluster_id,
            lookups.cluster_alias,
            lookups.source_uuid,
            lookups.cost_categories,
            lookups.nodes,
            options,
        ]);
        Ok(Self {
            report_period_id: lookups.report_period_id,
            cluster_id: lookups.cluster_id.clone(),
            cluster_alias: lookups.cluster_alias.clone(),
            source_uuid: lookups.source_uuid.to_lowercase(),
            categories: Arc::new(Categories::new(&lookups.cost_categories)?),
            on_nodeless_volume: options.on_nodeless_volume,
            roles: Arc::new(roles),
            fingerprint: fingerprint(&told),
        })
    }

    /// Equal where the same state finishes to the same rows.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub(super) fn role(&self, node: &str, resource_id: Option<&str>) -> Option<&str> {
        self.roles.get(&(node.to_owned(), resource_id?.to_owned())).map(String::as_str)
    }
}

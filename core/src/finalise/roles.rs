//! Which role a node has, and which roles the rows of a day rest on (SPEC 2.9).
//!
//! The registry is that of the whole tenant: clusters come and go, and grow by a node any time. A finished day is as good
//! as it was while its own nodes have the roles that it was finished with. It tells which those are in few bytes, so that
//! the next run can ask without its rows: four bytes for each node, and a digest of the roles that are registered under
//! them. Nodes that share their four bytes are told together, so that a day may be finished again for nothing, and never
//! the other way.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::lookups::NodeRole;
use crate::state::fingerprint;

/// A node and its resource id in four bytes.
type Mark = [u8; 4];

fn mark(node: &str, resource_id: &str) -> Mark {
    let told = serde_json::json!([node, resource_id]).to_string();
    let digest: [u8; 32] = Sha256::digest(told).into();
    std::array::from_fn(|byte| digest[byte])
}

/// The nodes of a day, by name and resource id. One without a resource id can have no role.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Nodes(BTreeSet<Mark>);

impl Nodes {
    pub(super) fn meet(&mut self, node: &str, resource_id: &str) {
        self.0.insert(mark(node, resource_id));
    }

    fn encode(&self) -> String {
        self.0.iter().flatten().map(|byte| format!("{byte:02x}")).collect()
    }

    fn decode(told: &str) -> Option<Self> {
        let mark = |at: usize| Some(u32::from_str_radix(told.get(at..at + 8)?, 16).ok()?.to_be_bytes());
        (0..told.len()).step_by(8).map(mark).collect::<Option<_>>().map(Self)
    }
}

/// The largest role of each node and resource id, over the whole tenant.
#[derive(Debug, Default)]
pub(super) struct Roles(BTreeMap<Mark, BTreeMap<(String, String), String>>);

impl Roles {
    pub(super) fn of(registry: &[NodeRole]) -> Self {
        let mut roles = Self::default();
        for node in registry {
            // NULL resource ids match nothing; a NULL role is no role.
            let (Some(resource_id), Some(role)) = (&node.resource_id, &node.node_role) else { continue };
            let same = roles.0.entry(mark(&node.node, resource_id)).or_default();
            let known = same.entry((node.node.clone(), resource_id.clone())).or_default();
            if *role > *known {
                known.clone_from(role);
            }
        }
        roles
    }

    pub(super) fn get(&self, node: &str, resource_id: &str) -> Option<&str> {
        let same = self.0.get(&mark(node, resource_id))?;
        same.get(&(node.to_owned(), resource_id.to_owned())).map(String::as_str)
    }

    /// What rows of these nodes rest on, as text without a dash.
    pub(super) fn fingerprint(&self, nodes: &Nodes) -> String {
        let roles = nodes.0.iter().map(|mark| self.0.get(mark).map(|same| same.iter().collect::<Vec<_>>()));
        format!("{}.{}", fingerprint(&serde_json::json!(roles.collect::<Vec<_>>())), nodes.encode())
    }

    /// Whether the nodes of that fingerprint have the same roles here.
    pub(super) fn stands(&self, told: &str) -> bool {
        let nodes = told.split_once('.').and_then(|(_, nodes)| Nodes::decode(nodes));
        nodes.is_some_and(|nodes| self.fingerprint(&nodes) == told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(registry: &[(&str, &str, &str)]) -> Roles {
        let node = |&(node, id, role): &(&str, &str, &str)| NodeRole {
            node: node.into(),
            resource_id: Some(id.into()),
            node_role: Some(role.into()),
        };
        Roles::of(&registry.iter().map(node).collect::<Vec<_>>())
    }

    #[test]
    fn a_day_rests_on_the_roles_of_its_own_nodes() {
        let (mine, registered) = (("n1", "i-1", "worker"), roles(&[("n1", "i-1", "worker")]));
        let mut nodes = Nodes::default();
        nodes.meet("n1", "i-1");
        nodes.meet("n2", "i-2");
        let told = registered.fingerprint(&nodes);
        assert!(registered.stands(&told));
        assert!(roles(&[mine, ("n1", "i-2", "infra"), ("n3", "i-3", "infra")]).stands(&told), "others");
        assert!(roles(&[mine, ("n1", "i-1", "infra")]).stands(&told), "no larger one");
        assert!(!roles(&[]).stands(&told), "gone");
        assert!(!roles(&[("n1", "i-1", "infra")]).stands(&told), "another");
        assert!(!roles(&[mine, ("n2", "i-2", "infra")]).stands(&told), "its node is registered later");
        for other in ["", ".", "0123456789abcdef", "x.0", "x.zzzzzzzz", "x.é€"] {
            assert!(!registered.stands(other), "{other:?}");
        }
    }

    #[test]
    fn nodes_of_the_same_mark_are_told_together() {
        let (one, other) = ("n19737", "n74040"); // the first two of these names that share their mark
        assert_eq!(mark(one, "i"), mark(other, "i"));
        let mut nodes = Nodes::default();
        nodes.meet(one, "i");
        let registered = roles(&[(one, "i", "worker"), (other, "i", "infra")]);
        assert_eq!([one, other].map(|node| registered.get(node, "i")), [Some("worker"), Some("infra")]);
        let told = registered.fingerprint(&nodes);
        assert!(registered.stands(&told));
        assert!(
            !roles(&[(one, "i", "infra"), (other, "i", "worker")]).stands(&told),
            "they have changed places"
        );
    }
}

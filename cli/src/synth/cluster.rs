//! Names, labels and volumes of a synthetic cluster: what does not change from hour to hour.

use daysum_core::{CostCategory, NodeRole};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::Shape;

const KEYS: [&str; 12] = [
    "app",
    "environment",
    "team",
    "version",
    "component",
    "tier",
    "owner",
    "release",
    "pod_template_hash",
    "region",
    "cost_center",
    "controller",
];
const WORDS: [&str; 16] = [
    "amber", "birch", "coral", "delta", "ember", "falcon", "garnet", "harbor", "indigo", "jasper", "kestrel",
    "lumen", "matrix", "nickel", "orchid", "pixel",
];

/// The hours of most pods.
const ALL_DAY: (u32, u32) = (0, 24);

/// A pod: what its rows say every hour.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) namespace: u32,
    pub(super) node: u32,
    /// Label text before and after a change at noon; the same for most pods.
    pub(super) labels: [u32; 2],
    /// Cores and GiB asked for.
    pub(super) cores: f64,
    pub(super) gib: f64,
    /// First hour and the one after the last.
    pub(super) hours: (u32, u32),
}

/// A claim and what it is bound to.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) pod: u32,
    /// The pod of another node that mounts it too.
    pub(super) second_pod: Option<u32>,
    pub(super) gib: f64,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) source_uuid: String,
    pub(super) namespaces: Vec<String>,
    pub(super) nodes: Vec<String>,
    pub(super) resource_ids: Vec<String>,
    pub(super) pod_names: Vec<String>,
    pub(super) pods: Vec<Pod>,
    /// Distinct label texts of pods.
    pub(super) labels: Vec<String>,
    pub(super) volumes: Vec<Volume>,
    keys: Vec<&'static str>,
}

impl Cluster {
    pub(super) fn new(shape: &Shape) -> Self {
        let mut random = StdRng::seed_from_u64(shape.seed);
        let keys: Vec<&str> = KEYS[..(shape.label_keys as usize).clamp(1, KEYS.len())].to_vec();
        let word = |random: &mut StdRng| WORDS[random.random_range(0..WORDS.len())];
        let namespaces = (0..shape.namespaces)
            .map(|at| match at {
                0 => "openshift-monitoring".to_owned(),
                1 => "kube-system".to_owned(),
                at => format!("{}-{}-{at}", word(&mut random), ["dev", "test", "prod"][at as usize % 3]),
            })
            .collect();
        let nodes = (0..shape.nodes)
            .map(|at| format!("ip-10-0-{}-{}.example.internal", at / 250, at % 250))
            .collect();
        let resource_ids = (0..shape.nodes).map(|_| format!("i-{:017x}", random.random::<u64>())).collect();
        let mut labels = Vec::new();
        let mut pod_names = Vec::new();
        let pods: Vec<Pod> = (0..shape.pods)
            .map(|at| {
                let (app, hash) = (format!("{}-{}", word(&mut random), at / 3), random.random::<u32>());
                pod_names.push(format!("{app}-{hash:08x}-{:05x}", at));
                let mut text = |version: u32| {
                    let values = keys.iter().enumerate().map(|(position, key)| {
                        let value = match *key {
                            "app" => app.clone(),
                            "version" => format!("v{version}"),
                            "team" => format!("{}-{version}", WORDS[at as usize % 16]),
                            "pod_template_hash" => format!("{hash:08x}"),
                            _ => format!(
                                "{}-{}",
                                WORDS[(at as usize + position) % 16],
                                (at as usize * 7 + position) % 9
                            ),
                        };
                        format!("\"{key}\": \"{value}\"")
                    });
                    labels.push(format!("{{{}}}", values.collect::<Vec<_>>().join(", ")));
                    labels.len() as u32 - 1
                };
                let first = text(1);
                // A new version, and another team: one key that is enabled and one that is not.
                let changes = random.random_range(0..50) == 0;
                let second = if changes { text(2) } else { first };
                let short = random.random_range(0..20) == 0;
                Pod {
                    namespace: random.random_range(0..shape.namespaces),
                    node: random.random_range(0..shape.nodes),
                    labels: [first, second],
                    cores: f64::from(random.random_range(1..16u32)) * 0.25,
                    gib: f64::from(random.random_range(1..33u32)) * 0.5,
                    hours: if short {
                        (random.random_range(0..12), random.random_range(13..24))
                    } else {
                        ALL_DAY
                    },
                }
            })
            .collect();
        let volumes = volumes(shape, &pods, &mut random);
        let source_uuid = Uuid::from_u64_pair(random.random(), random.random()).to_string();
        Self { source_uuid, namespaces, nodes, resource_ids, pod_names, pods, labels, volumes, keys }
    }

    /// A volume's class: most have the first one.
    pub(super) fn class(volume: u32) -> u32 {
        u32::from(volume % 5 == 4)
    }

    /// About half of the pods' keys, and one each of nodes and namespaces.
    pub(super) fn enabled_keys(&self) -> Vec<String> {
        let pods = self.keys.iter().step_by(2).copied();
        pods.chain(["node_role_kubernetes_io", "business_unit"]).map(str::to_owned).collect()
    }

    pub(super) fn cost_categories(&self) -> Vec<CostCategory> {
        ["openshift-%", "kube-%", "Platform unallocated", "openshift"]
            .map(|pattern| CostCategory { namespace: pattern.to_owned(), cost_category_id: 1 })
            .to_vec()
    }

    pub(super) fn role(&self, node: usize) -> &'static str {
        if node < 3 { "master" } else { "worker" }
    }

    pub(super) fn node_roles(&self) -> Vec<NodeRole> {
        let role = |(at, (node, resource_id)): (usize, (&String, &String))| NodeRole {
            node: node.clone(),
            resource_id: Some(resource_id.clone()),
            node_role: Some(self.role(at).to_owned()),
        };
        self.nodes.iter().zip(&self.resource_ids).enumerate().map(role).collect()
    }
}

/// Volumes of pods that live all day, since a claim is told of while a pod mounts it. A claim belongs to one namespace, so
/// whoever else mounts it is of the same.
fn volumes(shape: &Shape, pods: &[Pod], random: &mut StdRng) -> Vec<Volume> {
    let mut lasting = vec![Vec::new(); shape.namespaces as usize];
    for (at, pod) in (0..).zip(pods).filter(|(_, pod)| pod.hours == ALL_DAY) {
        lasting[pod.namespace as usize].push(at);
    }
    lasting.retain(|pods| !pods.is_empty());
    let volume = |at: u32| {
        let inside = &lasting[random.random_range(0..lasting.len())];
        let first = random.random_range(0..inside.len());
        let node = |at: u32| pods[at as usize].node;
        let elsewhere = || {
            let mut others = inside[first..].iter().chain(&inside[..first]).copied();
            others.find(|other| node(*other) != node(inside[first]))
        };
        Volume {
            pod: inside[first],
            second_pod: if at.is_multiple_of(10) { elsewhere() } else { None },
            gib: f64::from(random.random_range(1..200u32)),
        }
    };
    if lasting.is_empty() { Vec::new() } else { (0..shape.volumes).map(volume).collect() }
}

//! The command line that commands share, as it is typed, and as settings of the configuration.

use std::path::PathBuf;

use clap::Args;
use daysum::config::{Config, ConfigError, misspelt};
use daysum_core::{CostCategory, Error, Lookups, Month, NodeRole, Result, TextOrNumber};

use crate::logging;

/// Flags that are settings: a key, and what was said.
pub(crate) type Settings = Vec<(&'static str, Option<String>)>;

/// Where the settings come from, for every command.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Common {
    /// YAML file with settings; environment and flags override it. Otherwise that of the variable DAYSUM_CONFIG.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// postgres:// address of koku's database.
    #[arg(long, global = true, value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// Tenant schema, such as org1234567.
    #[arg(long, global = true)]
    schema: Option<String>,
}

/// Which source and which days: overrides what the lookups file or the database says.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Selection {
    /// The provider whose files are read.
    #[arg(long, value_name = "UUID")]
    source: Option<String>,
    #[command(flatten)]
    days: DaysArgs,
    /// Cluster identifier.
    #[arg(long)]
    cluster_id: Option<String>,
    /// Human name of the cluster.
    #[arg(long)]
    cluster_alias: Option<String>,
    /// reporting_ocpusagereportperiod.id.
    #[arg(long)]
    report_period_id: Option<i32>,
    /// Enabled tag keys, separated by commas; replaces those of the lookups.
    #[arg(long, value_delimiter = ',', value_name = "KEY")]
    enabled_keys: Vec<String>,
    /// A cost category: LIKE-PATTERN=ID. Repeat for more; replaces those of the lookups.
    #[arg(long, value_name = "PATTERN=ID", value_parser = cost_category)]
    cost_category: Vec<CostCategory>,
    /// A node's role: NODE=RESOURCE_ID=ROLE. Repeat for more; replaces those of the lookups.
    #[arg(long, value_name = "NODE=RESOURCE_ID=ROLE", value_parser = node_role)]
    node: Vec<NodeRole>,
    /// Leaves storage out.
    #[arg(long)]
    no_storage: bool,
}

/// Which days.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct DaysArgs {
    /// The whole month, YYYY-MM.
    #[arg(long, conflicts_with_all = ["start", "end"])]
    month: Option<Month>,
    /// First day, YYYY-MM-DD.
    #[arg(long)]
    start: Option<String>,
    /// Last day, YYYY-MM-DD, inclusive.
    #[arg(long)]
    end: Option<String>,
    /// Only these days of the month, such as 1,2,15.
    #[arg(long, value_delimiter = ',')]
    days: Vec<u32>,
}

fn cost_category(text: &str) -> std::result::Result<CostCategory, String> {
    let (namespace, id) = text.rsplit_once('=').ok_or("write PATTERN=ID")?;
    let cost_category_id = id.parse().map_err(|_| format!("{id:?} is no number"))?;
    Ok(CostCategory { namespace: namespace.to_owned(), cost_category_id })
}

fn node_role(text: &str) -> std::result::Result<NodeRole, String> {
    let [node, resource_id, role] = <[&str; 3]>::try_from(text.split('=').collect::<Vec<_>>())
        .map_err(|_| "write NODE=RESOURCE_ID=ROLE")?;
    Ok(NodeRole {
        node: node.to_owned(),
        resource_id: Some(resource_id.to_owned()),
        node_role: Some(role.to_owned()),
    })
}

impl Common {
    /// Reads the file, the environment and these flags; `more` are flags of the command itself. What has no effect, or
    /// deserves a second look, is told.
    pub(crate) fn load(&self, more: &[(&'static str, Option<String>)]) -> Result<Config> {
        let own = [("postgresql.url", self.database.clone()), ("postgresql.schema", self.schema.clone())];
        let flags: Vec<(&str, String)> =
            own.iter().chain(more).filter_map(|(key, value)| Some((*key, value.clone()?))).collect();
        let env = |name: &str| std::env::var(name).ok();
        // Set to nothing, as compose files leave variables, counts as not set.
        let named = || env("DAYSUM_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        let file = self.config.clone().or_else(named);
        let (config, notes) = Config::load_with(file.as_deref(), &env, &flags).map_err(refuse)?;
        logging::start(&config.logging);
        for note in notes {
            tracing::warn!("{note}");
        }
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if let Some(known) = misspelt(&name) {
                tracing::warn!("{name} is no setting and has no effect; did you mean {known}?");
            }
        }
        Ok(config)
    }
}

fn refuse(error: ConfigError) -> Error {
    Error::Config { reason: error.to_string() }
}

impl Selection {
    /// The flags that are settings.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = self.days.settings();
        settings.extend([
            ("ocp.provider_uuid", self.source.clone()),
            ("ocp.cluster_id", self.cluster_id.clone()),
            ("ocp.cluster_alias", self.cluster_alias.clone()),
            ("ocp.report_period_id", self.report_period_id.map(|id| id.to_string())),
        ]);
        settings
    }

    /// Whether the roles of nodes are given by flags.
    pub(crate) fn names_nodes(&self) -> bool {
        !self.node.is_empty()
    }

    /// Puts the other flags over the lookups.
    pub(crate) fn complete(&self, lookups: &mut Lookups) {
        self.days.complete(lookups);
        if !self.enabled_keys.is_empty() {
            lookups.enabled_tag_keys.clone_from(&self.enabled_keys);
        }
        if !self.cost_category.is_empty() {
            lookups.cost_categories.clone_from(&self.cost_category);
        }
        if !self.node.is_empty() {
            lookups.nodes.clone_from(&self.node);
        }
        lookups.storage_exists &= !self.no_storage;
    }
}

impl DaysArgs {
    /// The flags that are settings.
    pub(crate) fn settings(&self) -> Settings {
        let (year, month, _) = self.month.map(|month| month.first().ymd()).unwrap_or_default();
        vec![
            ("ocp.year", self.month.map(|_| year.to_string())),
            ("ocp.month", self.month.map(|_| month.to_string())),
            ("ocp.start_date", self.start.clone()),
            ("ocp.end_date", self.end.clone()),
        ]
    }

    /// Puts the other flag over the lookups.
    pub(crate) fn complete(&self, lookups: &mut Lookups) {
        if !self.days.is_empty() {
            lookups.days = Some(self.days.iter().copied().map(TextOrNumber::Number).collect());
        }
    }
}

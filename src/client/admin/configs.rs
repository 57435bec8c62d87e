//! Configurations of topics and brokers.

use super::first;
use crate::client::{ClientError, Cluster, To, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use crate::wire::kafka::describe_configs_response::DescribeConfigsResourceResult;
use crate::wire::kafka::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use crate::wire::kafka::list_config_resources_request::ListConfigResourcesRequest;
use std::collections::BTreeMap;

/// Kafka's number for groups.
const GROUP: i8 = 32;

/// What configurations belong to; the numbers are those of Kafka's `ConfigResource.Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A topic by name.
    Topic(String),
    /// A broker by node id; `None` is the default of all brokers.
    Broker(Option<i32>),
    /// A group by its id, whether or not there is one.
    Group(String),
}

impl Resource {
    fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
            Self::Group(_) => GROUP,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Topic(name) | Self::Group(name) => name.clone(),
            Self::Broker(id) => id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    /// A broker's own configuration is asked of that broker.
    fn to(&self) -> To {
        match self {
            Self::Broker(Some(id)) => To::Node(*id),
            _ => To::Controller,
        }
    }
}

impl Resource {
    /// What was asked, in a few words, for errors.
    fn shown(&self) -> String {
        match self {
            Self::Topic(name) => format!("topic '{name}'"),
            Self::Group(id) => format!("group '{id}'"),
            Self::Broker(Some(id)) => format!("broker {id}"),
            Self::Broker(None) => "the default of all brokers".to_owned(),
        }
    }
}

/// One configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Name.
    pub name: String,
    /// Value; `None` where it has none, or is kept secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Cannot be changed while the broker runs.
    pub read_only: bool,
    /// The value is kept secret.
    pub sensitive: bool,
    /// The settings that could give the value, the strongest first; the first one does.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A name under which a configuration can be set, and what is set there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

/// Kafka's `ConfigSource`, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigSource(pub i8);

impl ConfigSource {
    /// A default of the broker's code.
    pub const DEFAULT: Self = Self(5);
    /// Set when the broker was started.
    pub const STATIC_BROKER: Self = Self(4);

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }

    /// Set for this resource itself, while the broker runs.
    pub fn is_own(self, resource: &Resource) -> bool {
        match resource {
            Resource::Topic(_) => self.0 == 1,
            Resource::Group(_) => self.0 == 8,
            Resource::Broker(Some(_)) => self.0 == 2,
            Resource::Broker(None) => self.0 == 3,
        }
    }
}

impl Cluster {
    /// The groups of which something is set, by id.
    pub fn groups_with_settings(&mut self) -> Result<Vec<String>, ClientError> {
        let request = ListConfigResourcesRequest { resource_types: vec![GROUP] };
        let mut groups = self.ask(To::Controller, &request, |reply| {
            let response = reply.read::<ListConfigResourcesRequest>()?;
            check_code(response.error_code, || "groups with settings".to_owned(), None)?;
            let names = response.config_resources.iter().map(|it| it.resource_name.to_owned());
            Ok(names.collect::<Vec<_>>())
        })?;
        groups.sort();
        Ok(groups)
    }

    /// All configurations of a resource, by name.
    pub fn describe_configs(
        &mut self,
        resource: &Resource,
    ) -> Result<Vec<ConfigEntry>, ClientError> {
        let name = resource.name();
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.kind(),
                resource_name: &name,
                configuration_keys: None,
            }],
            include_synonyms: true,
            include_documentation: false,
        };
        let mut entries = self.ask(resource.to(), &request, |reply| {
            let response = reply.read::<DescribeConfigsRequest<'_>>()?;
            let result = first(&response.results)?;
            let what = || format!("configuration of {}", resource.shown());
            check_code(result.error_code, what, result.error_message)?;
            Ok(result.configs.iter().map(entry).collect::<Vec<_>>())
        })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The configurations of some topics, without synonyms. Topics that do not exist are left out.
    pub fn describe_topics_configs(
        &mut self,
        topics: &[&str],
    ) -> Result<BTreeMap<String, Vec<ConfigEntry>>, ClientError> {
        let resource = |name: &&'_ str| Resource::Topic((*name).to_owned());
        let resources: Vec<Resource> = topics.iter().map(resource).collect();
        let names: Vec<String> = resources.iter().map(Resource::name).collect();
        let asked = resources.iter().zip(&names).map(|(it, name)| DescribeConfigsResource {
            resource_type: it.kind(),
            resource_name: name,
            configuration_keys: None,
        });
        let request = DescribeConfigsRequest {
            resources: asked.collect(),
            include_synonyms: false,
            include_documentation: false,
        };
        self.ask(To::Any, &request, |reply| {
            let response = reply.read::<DescribeConfigsRequest<'_>>()?;
            let mut found = BTreeMap::new();
            for it in &response.results {
                if it.error_code != ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0 {
                    let what = || format!("configuration of topic '{}'", it.resource_name);
                    check_code(it.error_code, what, it.error_message)?;
                    let entries = it.configs.iter().map(entry).collect();
                    found.insert(it.resource_name.to_owned(), entries);
                }
            }
            Ok(found)
        })
    }

    /// Sets configurations of a resource, and takes those without a value back to their defaults.
    pub fn alter_configs(
        &mut self,
        resource: &Resource,
        changes: &[(String, Option<String>)],
    ) -> Result<(), ClientError> {
        /// `AlterConfigOp.OpType` of Kafka.
        const SET: i8 = 0;
        const DELETE: i8 = 1;
        let configs = changes.iter().map(|(name, value)| AlterableConfig {
            name,
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.as_deref(),
        });
        let name = resource.name();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.kind(),
                resource_name: &name,
                configs: configs.collect(),
            }],
            validate_only: false,
        };
        self.ask(resource.to(), &request, |reply| {
            let response = reply.read::<IncrementalAlterConfigsRequest<'_>>()?;
            let result = first(&response.responses)?;
            check_code(result.error_code, || resource.shown(), result.error_message)
        })
    }
}

fn entry(c: &DescribeConfigsResourceResult<'_>) -> ConfigEntry {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let synonyms = c.synonyms.iter().map(|s| ConfigSynonym {
        name: s.name.to_owned(),
        value: owned(s.value),
        source: ConfigSource(s.source),
    });
    ConfigEntry {
        name: c.name.to_owned(),
        value: owned(c.value),
        source: ConfigSource(c.config_source),
        read_only: c.read_only,
        sensitive: c.is_sensitive,
        synonyms: synonyms.collect(),
    }
}

//! The brokers of a cluster.

use crate::client::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::describe_cluster_request::DescribeClusterRequest;
use crate::wire::kafka::unregister_broker_request::UnregisterBrokerRequest;

/// A broker that is registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerDescription {
    /// Node id.
    pub id: i32,
    /// Host that it advertises.
    pub host: String,
    /// Port that it advertises.
    pub port: i32,
    /// Rack, where it has one.
    pub rack: Option<String>,
    /// The controller has not let it in: it is not there, or catches up.
    pub fenced: bool,
}

/// A cluster and its brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub id: String,
    /// Node id of the broker that takes requests for the controller; -1 for none.
    pub controller: i32,
    /// Brokers by node id.
    pub brokers: Vec<BrokerDescription>,
}

impl Cluster {
    /// The brokers; those that are fenced only where they are asked for, which Kafka knows since 4.0 (KIP-1073).
    pub fn describe_cluster(
        &mut self,
        include_fenced_brokers: bool,
    ) -> Result<ClusterDescription, ClientError> {
        let request =
            DescribeClusterRequest { include_fenced_brokers, ..DescribeClusterRequest::default() };
        self.ask(To::Any, &request, |reply| {
            let response = reply.read::<DescribeClusterRequest>()?;
            check_code(response.error_code, || "the cluster".to_owned(), response.error_message)?;
            let mut brokers: Vec<_> = response
                .brokers
                .iter()
                .map(|it| BrokerDescription {
                    id: it.broker_id,
                    host: it.host.to_owned(),
                    port: it.port,
                    rack: it.rack.map(str::to_owned),
                    fenced: it.is_fenced,
                })
                .collect();
            brokers.sort_by_key(|it| it.id);
            let id = response.cluster_id.to_owned();
            Ok(ClusterDescription { id, controller: response.controller_id, brokers })
        })
    }

    /// Has the cluster forget a broker that will not come back.
    pub fn unregister_broker(&mut self, broker_id: i32) -> Result<(), ClientError> {
        let request = UnregisterBrokerRequest { broker_id };
        self.command(To::Controller, &request, |reply| {
            let response = reply.read::<UnregisterBrokerRequest>()?;
            let what = || format!("broker {broker_id}");
            check_code(response.error_code, what, response.error_message)
        })
    }
}

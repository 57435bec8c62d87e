//! Where the coordinator of a group or of a transactional id is.

use super::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::find_coordinator_request::FindCoordinatorRequest;

/// What is coordinated, by Kafka's numbers (`CoordinatorType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinated {
    /// A group.
    Group = 0,
    /// A transactional id.
    Transaction = 1,
}

impl Coordinated {
    fn shown(self, key: &str) -> String {
        match self {
            Self::Group => format!("the coordinator of group '{key}'"),
            Self::Transaction => format!("the coordinator of transactional id '{key}'"),
        }
    }
}

/// Node id of a coordinator. Makes one attempt.
pub fn find_once(cluster: &mut Cluster, what: Coordinated, key: &str) -> Result<i32, ClientError> {
    type Find<'a> = FindCoordinatorRequest<'a>;
    let version = cluster.version::<Find<'_>>(To::Any)?;
    let key_type = what as i8;
    let request = if version >= 4 {
        Find { key_type, coordinator_keys: vec![key], ..Find::default() }
    } else {
        Find { key_type, key, ..Find::default() }
    };
    let reply = cluster.try_call_soon(To::Any, &request)?;
    let response = reply.read::<Find<'_>>()?;
    let shown = || what.shown(key);
    check_code(response.error_code, shown, response.error_message)?;
    let (node, host, port) = match response.coordinators.first() {
        Some(c) => {
            check_code(c.error_code, shown, c.error_message)?;
            (c.node_id, c.host, c.port)
        }
        None => (response.node_id, response.host, response.port),
    };
    cluster.learn(node, host, port);
    Ok(node)
}

/// Does `work` at a coordinator, again while an error may pass.
pub fn at<T>(
    cluster: &mut Cluster,
    what: Coordinated,
    key: &str,
    mut work: impl FnMut(&mut Cluster, i32) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let mut retry = cluster.retry();
    loop {
        match find_once(cluster, what, key).and_then(|node| work(cluster, node)) {
            Ok(value) => return Ok(value),
            Err(e) => cluster.wait_or(&mut retry, e)?,
        }
    }
}

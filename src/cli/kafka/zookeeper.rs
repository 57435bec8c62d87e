//! The names of ZooKeeper's programs: there is no ZooKeeper, and they say so.

use super::ToolError;
use std::io::Write;

/// `zookeeper-server-start`: nothing is to be started, so all is well.
pub fn start(_: &[String]) -> Result<(), ToolError> {
    writeln!(
        std::io::stdout(),
        "Klamm needs no ZooKeeper, so nothing is started; start the broker: kafka-server-start.sh \
         config/server.properties"
    )?;
    Ok(())
}

/// `zookeeper-server-stop`: nothing runs, so all is well.
pub fn stop(_: &[String]) -> Result<(), ToolError> {
    writeln!(std::io::stdout(), "Klamm needs no ZooKeeper, so none is to be stopped")?;
    Ok(())
}

/// `zkServer start|stop|…`, as ZooKeeper's own distribution has it.
pub fn server(args: &[String]) -> Result<(), ToolError> {
    if args.first().is_some_and(|arg| arg == "stop") { stop(args) } else { start(args) }
}

/// `zookeeper-shell`: there is nothing to talk to.
pub fn shell(_: &[String]) -> Result<(), ToolError> {
    Err(ToolError::failed(
        "Klamm keeps no data in ZooKeeper, so there is none to look into; use kafka-topics, \
         kafka-configs and kafka-broker-api-versions with --bootstrap-server",
    ))
}

//! ZooKeeper's programs by name, so that scripts and tutorials go on: they print that no ZooKeeper is needed.

use super::ToolError;
use std::io::Write;

/// `zookeeper-server-start`: succeeds, since nothing has to be started.
pub fn start(_: &[String]) -> Result<(), ToolError> {
    writeln!(
        std::io::stdout(),
        "Klamm needs no ZooKeeper, so nothing is started; start the broker: kafka-server-start.sh \
         config/server.properties"
    )?;
    Ok(())
}

/// `zookeeper-server-stop`: succeeds, since nothing runs.
pub fn stop(_: &[String]) -> Result<(), ToolError> {
    writeln!(std::io::stdout(), "Klamm needs no ZooKeeper, so none is to be stopped")?;
    Ok(())
}

/// `zkServer start|stop|…`, as ZooKeeper's own distribution has it.
pub fn server(args: &[String]) -> Result<(), ToolError> {
    if args.first().is_some_and(|arg| arg == "stop") { stop(args) } else { start(args) }
}

/// `zookeeper-shell`: fails, since there is nothing to connect to.
pub fn shell(_: &[String]) -> Result<(), ToolError> {
    Err(ToolError::failed(
        "Klamm keeps no data in ZooKeeper, so there is none to look into; use kafka-topics, \
         kafka-configs and kafka-broker-api-versions with --bootstrap-server",
    ))
}

//! `kafka-features`.

use super::ToolError;
use super::address::connect;
use super::arguments::{
    Argument, Arguments, Command, Misuse, NONE, Namespace, Program, flag, integer, text,
};
use super::error::{java_message, message_of};
use super::feature_levels::{self, FEATURES, Feature, LATEST, METADATA_VERSION};
use super::properties;
use crate::client::admin::UpgradeType;
use crate::client::{ClientError, Cluster, To};
use std::collections::BTreeMap;
use std::io::Write;

const METADATA: Argument =
    text(&["--metadata"], "DEPRECATED -- The level of the metadata, such as 3.3-IV3.");
const RELEASE: Argument = text(
    &["--release-version"],
    "The release whose levels all features get, such as 3.9-IV0. See version-mapping.",
);
const FEATURE: Argument =
    text(&["--feature"], "A feature and its level, such as metadata.version=5; can be repeated.");
const UNSAFE: Argument = flag(&["--unsafe"], "Even if that destroys metadata for good.");
const DRY_RUN: Argument = flag(&["--dry-run"], "Check whether it could be done, and do not do it.");

const PROGRAM: Program = Program {
    name: "kafka-features",
    about: "This tool manages feature flags in Kafka.",
    help_fails: false,
    arguments: Arguments {
        all: &[text(&["--command-config"], "Property file with settings of the client.")],
        one_of: &[
            text(
                &["--bootstrap-server"],
                "A list of host:port pairs to use for establishing the connection to the cluster.",
            ),
            text(
                &["--bootstrap-controller"],
                "The same: brokers of Klamm are controllers, and have no other port for clients.",
            ),
        ],
        one_required: false,
    },
    commands: &[
        Command {
            name: "describe",
            help: "Describes the current active feature flags.",
            arguments: Arguments {
                all: &[integer(&["--node-id"], "The node that is asked; any without it.")],
                ..NONE
            },
        },
        Command {
            name: "upgrade",
            help: "Upgrade one or more feature flags.",
            arguments: Arguments { all: &[METADATA, RELEASE, FEATURE, DRY_RUN], ..NONE },
        },
        Command {
            name: "downgrade",
            help: "Downgrade one or more feature flags.",
            arguments: Arguments { all: &[METADATA, RELEASE, FEATURE, UNSAFE, DRY_RUN], ..NONE },
        },
        Command {
            name: "disable",
            help: "Disable one or more feature flags: downgrade them to zero.",
            arguments: Arguments {
                all: &[
                    text(&["--feature"], "A feature to disable; can be repeated."),
                    UNSAFE,
                    DRY_RUN,
                ],
                ..NONE
            },
        },
        Command {
            name: "version-mapping",
            help: "Show the levels of all features in a release; the latest without one.",
            arguments: Arguments { all: &[RELEASE], ..NONE },
        },
        Command {
            name: "feature-dependencies",
            help: "Show which levels of other features a level of a feature needs.",
            arguments: Arguments { all: &[FEATURE.required()], ..NONE },
        },
    ],
};

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let found = PROGRAM.parse(args).map_err(|e| match e {
        Misuse::Wrong { why, .. } => wrong(&why),
        help @ Misuse::Help(_) => help.error(&PROGRAM),
    })?;
    match found.command {
        "version-mapping" => return version_mapping(&found),
        "feature-dependencies" => return dependencies(&found),
        _ => {}
    }
    let brokers = found.value("bootstrap-server").or(found.value("bootstrap-controller"));
    let brokers = brokers.ok_or_else(|| {
        wrong("You must specify either --bootstrap-controller or --bootstrap-server.")
    })?;
    if let Some(path) = found.value("command-config") {
        super::address::check_client(&properties::load(path)?)?;
    }
    if found.command == "describe" {
        return describe(&found, &mut connect(brokers)?);
    }
    let levels = levels(&found)?;
    if levels.is_empty() {
        let why = format!("You must specify at least one feature to {}", found.command);
        return Err(ToolError::Failed(why));
    }
    update(&found, &mut connect(brokers)?, &levels)
}

/// As this tool says it of the command line.
fn wrong(why: &str) -> ToolError {
    ToolError::Failed(format!("Command line error: {why}. Type --help for help."))
}

fn describe(found: &Namespace, cluster: &mut Cluster) -> Result<(), ToolError> {
    let failed = |e| ToolError::Failed(java_message(&e));
    let node = found.integer("node-id");
    if let Some(id) = node.filter(|id| *id < 0) {
        return Err(ToolError::Failed(format!("Invalid node id {id}: must be non-negative.")));
    }
    cluster.refresh(Some(&[]), false)?;
    let features = cluster.features(node.map_or(To::Any, To::Node)).map_err(failed)?;
    let epoch = features.epoch.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let mut out = std::io::stdout().lock();
    for (name, it) in &features.features {
        let shown = |level| feature_levels::shown(name, level);
        writeln!(
            out,
            "Feature: {name:<40}  SupportedMinVersion: {:<15}  SupportedMaxVersion: {:<15}  \
             FinalizedVersionLevel: {:<15}  Epoch: {epoch}",
            shown(it.min),
            shown(it.max),
            shown(it.finalized)
        )?;
    }
    Ok(())
}

fn name_and_level(text: &str) -> Result<(&str, i16), ToolError> {
    let cannot = format!("Can't parse feature=level string {text}: ");
    let (name, level) = text
        .split_once('=')
        .ok_or_else(|| ToolError::Failed(format!("{cannot}equals sign not found.")))?;
    let (name, level) = (name.trim(), level.trim());
    let number = level
        .parse()
        .map_err(|_| ToolError::Failed(format!("{cannot}unable to parse {level} as a short.")))?;
    Ok((name, number))
}

fn metadata_level(name: &str) -> Result<i16, ToolError> {
    feature_levels::metadata_level(name).map_err(ToolError::Failed)
}

/// The features that the command line names, with the levels that they are to get.
fn levels(found: &Namespace) -> Result<BTreeMap<String, i16>, ToolError> {
    let mut levels = BTreeMap::new();
    let mut put = |name: &str, level: i16| match levels.insert(name.to_owned(), level) {
        Some(_) => Err(ToolError::Failed(format!("Feature {name} was specified more than once."))),
        None => Ok(()),
    };
    let features = found.values("feature");
    if found.command == "disable" {
        features.iter().try_for_each(|name| put(name, 0))?;
        return Ok(levels);
    }
    let upgrade = found.command == "upgrade";
    if let Some(release) = found.value("release-version") {
        if found.has("metadata") || found.has("feature") {
            let why = "Can not specify `release-version` with other feature flags.";
            return Err(ToolError::failed(why));
        }
        let metadata = metadata_level(release)?;
        put(METADATA_VERSION, metadata)?;
        for it in &FEATURES {
            let level = it.default_level(metadata);
            if level > 0 || !upgrade {
                put(it.name, level)?;
            }
        }
        return Ok(levels);
    }
    if let Some(name) = found.value("metadata") {
        writeln!(
            std::io::stdout(),
            " `metadata` flag is deprecated and may be removed in a future release."
        )?;
        put(METADATA_VERSION, metadata_level(name)?)?;
    }
    for text in features {
        let (name, level) = name_and_level(text)?;
        if upgrade && level < 1 {
            return Err(ToolError::Failed(format!(
                "The upgradeType flag should be set to SAFE_DOWNGRADE or UNSAFE_DOWNGRADE when the \
                 provided maxVersionLevel:{level} is < 1."
            )));
        }
        put(name, level)?;
    }
    Ok(levels)
}

fn update(
    found: &Namespace,
    cluster: &mut Cluster,
    levels: &BTreeMap<String, i16>,
) -> Result<(), ToolError> {
    let (command, dry_run) = (found.command, found.has("dry-run"));
    let upgrade_type = match command {
        "upgrade" => UpgradeType::Upgrade,
        _ if found.has("unsafe") => UpgradeType::UnsafeDowngrade,
        _ => UpgradeType::SafeDowngrade,
    };
    let results = match cluster.update_features(levels, upgrade_type, dry_run) {
        Err(ClientError::Unsupported { api, min, max }) => {
            let all = |name: &String| {
                let e = ClientError::Unsupported { api: api.clone(), min, max };
                (name.clone(), Err(e))
            };
            levels.keys().map(all).collect()
        }
        other => other?,
    };
    let mut out = std::io::stdout().lock();
    let mut failures = 0;
    for (name, result) in &results {
        let level = levels.get(name).copied().unwrap_or_default();
        match result {
            Ok(()) => {
                let verb = if dry_run { "can be" } else { "was" };
                match command {
                    "disable" => writeln!(out, "{name} {verb} disabled.")?,
                    _ => writeln!(out, "{name} {verb} {command}d to {level}.")?,
                }
            }
            Err(e) => {
                failures += 1;
                let cannot = if dry_run { "Can not" } else { "Could not" };
                let why = match e {
                    ClientError::Unsupported { .. } => {
                        "The node does not support UPDATE_FEATURES".to_owned()
                    }
                    e => message_of(e),
                };
                match command {
                    "disable" => writeln!(out, "{cannot} disable {name}. {why}")?,
                    _ => writeln!(out, "{cannot} {command} {name} to {level}. {why}")?,
                }
            }
        }
    }
    if failures > 0 {
        let why = format!("{failures} out of {} operation(s) failed.", levels.len());
        return Err(ToolError::Failed(why));
    }
    Ok(())
}

fn version_mapping(found: &Namespace) -> Result<(), ToolError> {
    let release = found.value("release-version");
    let metadata = release.map_or(Ok(LATEST), metadata_level)?;
    let mut out = std::io::stdout().lock();
    let latest = feature_levels::shown(METADATA_VERSION, metadata);
    writeln!(out, "{METADATA_VERSION}={metadata} ({})", release.unwrap_or(&latest))?;
    for it in &FEATURES {
        writeln!(out, "{}={}", it.name, it.default_level(metadata))?;
    }
    Ok(())
}

fn dependencies(found: &Namespace) -> Result<(), ToolError> {
    let mut out = std::io::stdout().lock();
    for text in found.values("feature") {
        let (name, level) = name_and_level(text)?;
        if name == METADATA_VERSION {
            let shown = feature_levels::metadata_name(level)
                .ok_or_else(|| ToolError::Failed(format!("Unknown metadata.version {level}")))?;
            writeln!(out, "{name}={level} ({shown}) has no dependencies.")?;
            continue;
        }
        let feature = Feature::find(name)
            .ok_or_else(|| ToolError::Failed(format!("Unknown feature: {name}")))?;
        let needs = feature.needs(level).ok_or_else(|| {
            ToolError::Failed(format!("No feature:{name} with feature level {level}"))
        })?;
        if needs == 0 {
            writeln!(out, "{name}={level} has no dependencies.")?;
        } else {
            let shown = feature_levels::shown(METADATA_VERSION, needs);
            writeln!(out, "{name}={level} requires:\n    {METADATA_VERSION}={needs} ({shown})")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<BTreeMap<String, i16>, ToolError> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        levels(&PROGRAM.parse(&args).expect("reads"))
    }

    #[test]
    fn command_lines_name_features_and_levels() {
        let found = read("upgrade --feature metadata.version=30 --feature group.version=1");
        assert_eq!(found.expect("reads").values().copied().collect::<Vec<_>>(), [1, 30]);
        let found = read("upgrade --release-version 3.9").expect("reads");
        assert_eq!(found.len(), 2, "levels of zero are no upgrade");
        assert_eq!((found["metadata.version"], found["kraft.version"]), (21, 1));
        assert_eq!(read("downgrade --release-version 3.9").expect("reads").len(), 7);
        assert_eq!(read("disable --feature group.version").expect("reads")["group.version"], 0);
        let says = |line: &str| match read(line) {
            Err(ToolError::Failed(why)) => why,
            other => panic!("{line}: {other:?}"),
        };
        for (line, why) in [
            ("upgrade --feature a", "Can't parse feature=level string a: equals sign not found."),
            (
                "upgrade --feature a=b",
                "Can't parse feature=level string a=b: unable to parse b as a short.",
            ),
            ("upgrade --feature a=1 --feature a=2", "Feature a was specified more than once."),
            ("disable --feature a --feature a", "Feature a was specified more than once."),
            (
                "upgrade --feature a=1 --release-version 4.0",
                "Can not specify `release-version` with other feature flags.",
            ),
        ] {
            assert_eq!(says(line), why, "{line}");
        }
        assert!(says("upgrade --release-version 9").starts_with("Unknown metadata.version '9'"));
    }
}

//! Topics: which are copied, and that their copies are there, with as many partitions and the same configurations.

use super::checkpoint::{GROUP_PREFIX, cluster_text};
use super::configs::{self, Refused};
use super::selection::{Choice, Origins, note_origins};
use super::shared::{Event, Followed, Plan, Settings};
use crate::client::admin::{ConfigEntry, NewTopic, Resource};
use crate::client::{ClientError, Cluster, groups};
use crate::types::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// The largest batch that is made, bytes; a topic's `max.message.bytes` may be less.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Topics whose configurations are asked for at once.
const TOPICS_AT_ONCE: usize = 200;

/// See the module.
pub struct Topology<'a> {
    settings: &'a Settings,
    events: Sender<Event>,
    source: Cluster,
    target: Cluster,
    /// Topics of the source that were seen before; `None` before the first look.
    seen: Option<BTreeSet<String>>,
    /// Topics that were not there when they were looked for last.
    missing: BTreeSet<String>,
    refused: BTreeMap<String, Refused>,
    /// Topics that came from the target.
    backs: BTreeSet<String>,
    /// Why topics are not copied that should be.
    troubles: BTreeMap<String, String>,
    plan: Plan,
}

/// A topic that is to be copied, while its copy is being made.
struct Wanted {
    source: String,
    target: String,
    partitions: i32,
}

impl<'a> Topology<'a> {
    /// Nothing is known yet.
    pub fn new(
        settings: &'a Settings,
        events: Sender<Event>,
        source: Cluster,
        target: Cluster,
    ) -> Self {
        Self {
            settings,
            events,
            source,
            target,
            seen: None,
            missing: BTreeSet::new(),
            refused: BTreeMap::new(),
            backs: BTreeSet::new(),
            troubles: BTreeMap::new(),
            plan: Plan::new(),
        }
    }

    /// The source.
    pub fn source(&mut self) -> &mut Cluster {
        &mut self.source
    }

    /// What is wrong with topics that are not copied.
    pub fn troubles(&self) -> impl Iterator<Item = &str> {
        self.troubles.values().map(String::as_str)
    }

    fn refuse(&mut self, topic: &str, line: String) {
        if self.troubles.get(topic) != Some(&line) {
            self.notice(line.clone());
            self.troubles.insert(topic.to_owned(), line);
        }
    }

    fn notice(&self, line: String) {
        let _ = self.events.send(Event::Notice(line));
    }

    /// Looks at both clusters, creates and changes what is to be, and returns what is to be copied.
    pub fn refresh(&mut self) -> Result<Plan, ClientError> {
        // What an answer does not name would stay known.
        self.source.metadata_mut().topics.clear();
        self.source.refresh_once(None, false)?;
        self.target.metadata_mut().topics.clear();
        self.target.refresh_once(None, false)?;
        // What mirrors have written at either cluster: this one's own topics are known.
        let selection = &self.settings.selection;
        let unknown = self.source.metadata().topics.iter().any(|(name, it)| {
            let choice = selection.choose(name, it.internal, &Origins::new(), "");
            choice != Choice::Ignore && !self.plan.contains_key(name)
        });
        let (mut at_source, mut at_target) = (Origins::new(), Origins::new());
        if unknown {
            at_source = origins(&mut self.source, "")?;
            at_target = origins(&mut self.target, &self.settings.group())?;
        }
        let wanted = self.wanted(&at_source);
        let mut there = Vec::new();
        for it in wanted {
            if let Some(other) = at_target.get(&it.target) {
                let line = format!(
                    "topic '{}' is not copied: '{}' at the target is the copy of the mirror with --name {}",
                    it.source, it.target, other.mirror
                );
                self.refuse(&it.source, line);
                continue;
            }
            match self.make(&it) {
                Ok(true) => there.push(it),
                Ok(false) => {}
                Err(e) if e.is_retriable() => return Err(e),
                Err(e) => {
                    let line = format!("topic '{}' is not copied: {e}", it.source);
                    self.refuse(&it.source, line);
                }
            }
        }
        self.wait_for(&there)?;
        let sizes = self.configure(&there)?;
        let mut plan = Plan::new();
        for it in there {
            let Some(copy) = self.target.metadata().topics.get(&it.target) else { continue };
            let source_id = self.source.metadata().topics[&it.source].id;
            let mut path = vec![cluster_text(&cluster_id(&self.source))];
            match (self.plan.get(&it.source), at_source.get(&it.source)) {
                (Some(known), _) => path.clone_from(&known.path),
                (None, Some(origin)) => path.extend(origin.path.iter().cloned()),
                (None, None) => {}
            }
            let followed = Followed {
                source_id,
                target_id: copy.id,
                path,
                partitions: it.partitions,
                batch_bytes_max: sizes.get(&it.target).copied().unwrap_or(BATCH_BYTES_MAX),
                source: it.source.clone(),
                target: it.target,
            };
            self.troubles.remove(&it.source);
            plan.insert(it.source, Arc::new(followed));
        }
        // What is not there once may be a broker that has just started.
        for topic in &self.missing {
            if let Some(followed) = self.plan.get(topic) {
                plan.insert(topic.clone(), followed.clone());
            }
        }
        self.plan = plan.clone();
        Ok(plan)
    }

    /// The topics that are to be copied. One that has just appeared waits for the next look: another mirror may have made it,
    /// and is about to say so.
    fn wanted(&mut self, origins: &Origins) -> Vec<Wanted> {
        let to = cluster_text(&cluster_id(&self.target));
        let mut wanted = Vec::new();
        let (mut backs, mut refused) = (Vec::new(), Vec::new());
        for (source, topic) in &self.source.metadata().topics {
            match self.settings.selection.choose(source, topic.internal, origins, &to) {
                Choice::Copy(_)
                    if self.seen.as_ref().is_some_and(|seen| !seen.contains(source)) => {}
                Choice::Copy(target) => {
                    let partitions = topic.partitions.len() as i32;
                    wanted.push(Wanted { source: source.clone(), target, partitions });
                }
                Choice::Back(why) => backs.push((source.clone(), why)),
                Choice::Refuse(why) => refused.push((source.clone(), why)),
                Choice::Ignore => {}
            }
        }
        for (topic, why) in refused {
            self.refuse(&topic, why);
        }
        for (topic, why) in backs {
            if self.backs.insert(topic) {
                self.notice(why);
            }
        }
        self.seen = Some(self.source.metadata().topics.keys().cloned().collect());
        let here: BTreeSet<&String> = wanted.iter().map(|it| &it.source).collect();
        let mut missing = BTreeSet::new();
        let mut gone = Vec::new();
        for (topic, followed) in self.plan.iter().filter(|(topic, _)| !here.contains(topic)) {
            if self.missing.contains(topic) {
                gone.push(format!(
                    "topic '{topic}' is gone at the source; its copy '{}' stays as it is",
                    followed.target
                ));
            } else {
                missing.insert(topic.clone());
            }
        }
        self.missing = missing;
        gone.into_iter().for_each(|line| self.notice(line));
        wanted
    }

    /// Creates a copy, or gives it partitions that it lacks. Whether it is to be copied now.
    fn make(&mut self, it: &Wanted) -> Result<bool, ClientError> {
        let there = self.target.metadata().topics.get(&it.target);
        match there.map(|topic| topic.partitions.len() as i32) {
            None if self.plan.contains_key(&it.source) => {
                // Lanes let go of the old one before there is a new one.
                self.notice(format!(
                    "topic '{}' was deleted at the target: it is created and copied anew",
                    it.target
                ));
                return Ok(false);
            }
            None => {
                let new = NewTopic {
                    name: it.target.clone(),
                    partitions: Some(it.partitions),
                    replication_factor: self.settings.replication_factor,
                    ..NewTopic::default()
                };
                match self.target.create_topic(&new) {
                    Err(e) if e.code() != Some(ErrorCode::TOPIC_ALREADY_EXISTS) => return Err(e),
                    _ => {}
                }
            }
            Some(count) if count < it.partitions => {
                self.target.create_partitions(&it.target, it.partitions, &[])?;
            }
            Some(_) => {}
        }
        Ok(true)
    }

    /// Waits until the broker that is asked knows what the controller has made.
    fn wait_for(&mut self, all: &[Wanted]) -> Result<(), ClientError> {
        let mut retry = self.target.retry();
        loop {
            let topics = &self.target.metadata().topics;
            let missing = all.iter().find(|it| {
                topics
                    .get(&it.target)
                    .is_none_or(|has| (has.partitions.len() as i32) < it.partitions)
            });
            let Some(missing) = missing else { return Ok(()) };
            let e = ClientError::NoLeader {
                topic: missing.target.clone(),
                partition: missing.partitions - 1,
            };
            self.target.wait_or(&mut retry, e)?;
            self.target.refresh_once(None, false)?;
        }
    }

    /// Brings configurations over. Returns the largest batch of each copy, bytes.
    fn configure(&mut self, all: &[Wanted]) -> Result<BTreeMap<String, usize>, ClientError> {
        let mut sizes = BTreeMap::new();
        for some in all.chunks(TOPICS_AT_ONCE) {
            let sources: Vec<&str> = some.iter().map(|it| it.source.as_str()).collect();
            let targets: Vec<&str> = some.iter().map(|it| it.target.as_str()).collect();
            let wanted = self.source.describe_topics_configs(&sources)?;
            let there = self.target.describe_topics_configs(&targets)?;
            for it in some {
                let both = wanted.get(&it.source).zip(there.get(&it.target));
                let Some((wanted, there)) = both else { continue };
                let size = self.configure_one(it, wanted, there)?;
                sizes.insert(it.target.clone(), size);
            }
        }
        Ok(sizes)
    }

    fn configure_one(
        &mut self,
        it: &Wanted,
        wanted: &[ConfigEntry],
        there: &[ConfigEntry],
    ) -> Result<usize, ClientError> {
        let refused = self.refused.entry(it.source.clone()).or_default();
        let found = configs::changes(wanted, there, refused);
        let new: Vec<&String> =
            found.unknown.iter().filter(|name| !refused.contains_key(*name)).collect();
        let mut lines = Vec::new();
        for name in new {
            // Unknown with any value.
            refused.insert(name.clone(), String::new());
            lines
                .push(format!("topic '{}': the target has no '{name}'; it is left out", it.source));
        }
        let resource = Resource::Topic(it.target.clone());
        let mut size = there
            .iter()
            .find(|it| it.name == "max.message.bytes")
            .and_then(|it| it.value.as_deref()?.parse::<usize>().ok());
        let mut change = |changes: &[(String, Option<String>)]| {
            let done = self.target.alter_configs(&resource, changes);
            if done.is_ok()
                && let Some((_, Some(value))) =
                    changes.iter().find(|(name, _)| name == "max.message.bytes")
            {
                size = value.parse().ok();
            }
            done
        };
        if !found.changes.is_empty() {
            match change(&found.changes) {
                Ok(()) => {}
                Err(e) if e.is_retriable() => return Err(e),
                Err(_) => {
                    // One of them is refused: which?
                    for one in &found.changes {
                        match change(std::slice::from_ref(one)) {
                            Ok(()) => {}
                            Err(e) if e.is_retriable() => return Err(e),
                            Err(e) => {
                                let value = one.1.clone().unwrap_or_default();
                                let line = format!(
                                    "topic '{}': the target refuses {}={value}, which is left out: {e}",
                                    it.source, one.0
                                );
                                lines.push(line);
                                let refused = self.refused.entry(it.source.clone()).or_default();
                                refused.insert(one.0.clone(), value);
                            }
                        }
                    }
                }
            }
        }
        lines.into_iter().for_each(|line| self.notice(line));
        Ok(size.unwrap_or(BATCH_BYTES_MAX).clamp(1 << 10, BATCH_BYTES_MAX))
    }
}

/// What mirrors have written at a cluster, but for the one whose group is `own`.
fn origins(cluster: &mut Cluster, own: &str) -> Result<Origins, ClientError> {
    let mut found = Origins::new();
    for group in groups::list(cluster, &[], &[])? {
        if group.id.starts_with(GROUP_PREFIX) && group.id != own {
            let committed = groups::fetch_offsets(cluster, &group.id)?;
            let all = committed.iter().flat_map(|(topic, all)| {
                all.values().map(|it| (topic.as_str(), it.metadata.as_str()))
            });
            note_origins(&mut found, &group.id, all);
        }
    }
    Ok(found)
}

/// The id of a cluster; empty where it has none.
pub fn cluster_id(cluster: &Cluster) -> String {
    cluster.metadata().cluster_id.clone().unwrap_or_default()
}

//! Records, log writes and snapshots as `FlatBuffers` (`schemas/metadata.fbs`).
//!
//! Everything that is read is verified first. What verifies may still be nonsense to this version,
//! such as a record of a kind that it does not know: that is an error, and never skipped.

use super::broker::{Broker, Registration};
use super::features;
use super::generated::metadata::klamm::metadata as fb;
use super::image::Image;
use super::partition::Partition;
use super::record::{ConfigChanges, NewPartition, PartitionChange, Record};
use crate::types::{FeatureRange, FeatureRanges, TopicId};
use flatbuffers::{
    FlatBufferBuilder, Follow, ForwardsUOffset, Vector, Verifiable, VerifierOptions, WIPOffset,
};
use futures_lite::future::block_on;
use protobuf::Message as _;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, HardState,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Builder<'a> = FlatBufferBuilder<'a>;
type Settable<'a> = Tables<'a, fb::Setting<'a>>;

/// Bytes that passed their checksum and are not what this version can read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not a `FlatBuffer` of the expected shape.
    #[error("malformed metadata: {0}")]
    Malformed(#[from] flatbuffers::InvalidFlatbuffer),
    /// A record of a kind that this version does not know.
    #[error("a metadata record of kind {0}, which this version does not know")]
    UnknownRecord(u8),
    /// A message that Raft does not send, or not so.
    #[error("a message of the metadata quorum that makes no sense: {0}")]
    Nonsense(&'static str),
}

pub(super) fn root<'a, T>(bytes: &'a [u8]) -> Result<T::Inner, CodecError>
where
    T: Follow<'a> + Verifiable + 'a,
{
    // The defaults' limit of a million tables is that of a cluster with a million partitions; the
    // real limit is the length of what was read.
    let options = VerifierOptions {
        max_tables: 1 << 28,
        max_apparent_size: 1 << 40,
        ..VerifierOptions::default()
    };
    Ok(flatbuffers::root_with_opts::<T>(&options, bytes)?)
}

fn to_id(id: TopicId) -> fb::Id {
    let bits = u128::from_be_bytes(id.0);
    fb::Id::new((bits >> 64) as u64, bits as u64)
}

fn from_id(id: &fb::Id) -> TopicId {
    TopicId((u128::from(id.high()) << 64 | u128::from(id.low())).to_be_bytes())
}

fn to_directory(id: u128) -> fb::Id {
    to_id(TopicId(id.to_be_bytes()))
}

fn from_directory(id: &fb::Id) -> u128 {
    u128::from_be_bytes(from_id(id).0)
}

fn put_settings<'a, 'n>(
    b: &mut Builder<'a>,
    settings: impl Iterator<Item = (&'n str, Option<&'n str>)>,
) -> WIPOffset<Settable<'a>> {
    let offsets: Vec<_> = settings
        .map(|(name, value)| {
            let name = Some(b.create_string(name));
            let value = value.map(|it| b.create_string(it));
            fb::Setting::create(b, &fb::SettingArgs { name, value })
        })
        .collect();
    b.create_vector(&offsets)
}

fn changes(settings: &ConfigChanges) -> impl Iterator<Item = (&str, Option<&str>)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
}

fn values<'a>(
    settings: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    settings.into_iter().map(|(name, value)| (name.as_str(), Some(value.as_str())))
}

fn get_changes(settings: Settable<'_>) -> ConfigChanges {
    settings.iter().map(|it| (it.name().to_owned(), it.value().map(str::to_owned))).collect()
}

fn get_values(settings: Option<Settable<'_>>) -> impl Iterator<Item = (String, String)> {
    settings
        .into_iter()
        .flatten()
        .filter_map(|it| Some((it.name().to_owned(), it.value()?.to_owned())))
}

type Tables<'a, T> = Vector<'a, ForwardsUOffset<T>>;

/// What stands at each place. Equal ones share a table: in most topics many are.
fn put_alike<'a, 't, T: Ord + 't, F>(
    b: &mut Builder<'a>,
    all: impl ExactSizeIterator<Item = &'t T>,
    put: impl Fn(&mut Builder<'a>, &T) -> WIPOffset<F>,
) -> WIPOffset<Tables<'a, F>> {
    let mut offsets = Vec::with_capacity(all.len());
    let mut known = BTreeMap::new();
    for it in all {
        offsets.push(*known.entry(it).or_insert_with(|| put(b, it)));
    }
    b.create_vector(&offsets)
}

type Ids<'a> = WIPOffset<Vector<'a, i32>>;

/// Absent where it is empty.
fn put_some<'a>(b: &mut Builder<'a>, brokers: &[i32]) -> Option<Ids<'a>> {
    (!brokers.is_empty()).then(|| b.create_vector(brokers))
}

fn put_partition<'a>(b: &mut Builder<'a>, it: &Partition) -> WIPOffset<fb::Partition<'a>> {
    let replicas = Some(b.create_vector(&it.replicas));
    // Most of the time all replicas are in sync, and two fields may share one vector.
    let isr = if it.isr == it.replicas { replicas } else { Some(b.create_vector(&it.isr)) };
    let args = fb::PartitionArgs {
        leader: it.leader,
        leader_epoch: it.leader_epoch,
        partition_epoch: it.partition_epoch,
        replicas,
        isr,
        elr: put_some(b, &it.elr),
        adding: put_some(b, &it.adding),
        removing: put_some(b, &it.removing),
        unclean_epoch: it.unclean_epoch,
    };
    fb::Partition::create(b, &args)
}

fn put_new_partition<'a>(b: &mut Builder<'a>, it: &NewPartition) -> WIPOffset<fb::Partition<'a>> {
    put_partition(b, &Partition::new(it))
}

fn put_change<'a>(b: &mut Builder<'a>, it: &PartitionChange) -> WIPOffset<fb::PartitionChange<'a>> {
    let mut put = |it: &Option<Arc<[i32]>>| it.as_ref().map(|it| b.create_vector(it));
    let args = fb::PartitionChangeArgs {
        leader: it.leader.unwrap_or(STAYS),
        isr: put(&it.isr),
        elr: put(&it.elr),
        replicas: put(&it.replicas),
        adding: put(&it.adding),
        removing: put(&it.removing),
        unclean: it.unclean,
    };
    fb::PartitionChange::create(b, &args)
}

/// Stands for a leader that stays.
const STAYS: i32 = -2;
/// In `BrokerUnfenced`.
const SPACE_LACKING: u8 = 1;
const SPACE_THERE: u8 = 2;

/// Shares one allocation among equal lists of brokers.
#[derive(Default)]
struct Interned(BTreeSet<Arc<[i32]>>);

impl Interned {
    fn get(&mut self, brokers: Vector<'_, i32>) -> Arc<[i32]> {
        let brokers: Vec<i32> = brokers.iter().collect();
        if let Some(known) = self.0.get(&*brokers) {
            return known.clone();
        }
        let brokers: Arc<[i32]> = brokers.into();
        self.0.insert(brokers.clone());
        brokers
    }

    fn get_some(&mut self, brokers: Option<Vector<'_, i32>>) -> Arc<[i32]> {
        brokers.map(|it| self.get(it)).unwrap_or_default()
    }

    fn get_partition(&mut self, it: &fb::Partition<'_>) -> Partition {
        Partition {
            leader: it.leader(),
            leader_epoch: it.leader_epoch(),
            partition_epoch: it.partition_epoch(),
            replicas: self.get(it.replicas()),
            isr: self.get(it.isr()),
            elr: self.get_some(it.elr()),
            adding: self.get_some(it.adding()),
            removing: self.get_some(it.removing()),
            unclean_epoch: it.unclean_epoch(),
        }
    }

    fn get_change(&mut self, it: &fb::PartitionChange<'_>) -> PartitionChange {
        let mut get = |it: Option<Vector<'_, i32>>| it.map(|it| self.get(it));
        PartitionChange {
            leader: Some(it.leader()).filter(|leader| *leader != STAYS),
            isr: get(it.isr()),
            elr: get(it.elr()),
            replicas: get(it.replicas()),
            adding: get(it.adding()),
            removing: get(it.removing()),
            unclean: it.unclean(),
        }
    }
}

fn get_new_partitions(partitions: Tables<'_, fb::Partition<'_>>) -> Vec<NewPartition> {
    let mut interned = Interned::default();
    let mut get = |it: fb::Partition<'_>| NewPartition {
        replicas: interned.get(it.replicas()),
        isr: interned.get(it.isr()),
    };
    partitions.iter().map(&mut get).collect()
}

/// The data of one Raft entry.
pub fn encode_batch(records: &[Record]) -> Vec<u8> {
    let mut builder = Builder::new();
    let b = &mut builder;
    let offsets: Vec<_> = records
        .iter()
        .map(|record| {
            let (body_type, body) = put_body(b, record);
            fb::Record::create(b, &fb::RecordArgs { body_type, body: Some(body) })
        })
        .collect();
    let records = Some(b.create_vector(&offsets));
    let batch = fb::Batch::create(b, &fb::BatchArgs { records });
    b.finish_minimal(batch);
    builder.finished_data().to_vec()
}

fn put_body(
    b: &mut Builder<'_>,
    record: &Record,
) -> (fb::RecordBody, WIPOffset<flatbuffers::UnionWIPOffset>) {
    match record {
        Record::TopicCreated { id, name, partitions, settings } => {
            let id = to_id(*id);
            let name = b.create_string(name);
            let partitions = put_alike(b, partitions.iter(), put_new_partition);
            let settings = put_settings(b, values(settings.iter().map(|(k, v)| (k, v))));
            let args = fb::TopicCreatedArgs {
                id: Some(&id),
                name: Some(name),
                partitions: Some(partitions),
                settings: Some(settings),
            };
            (fb::RecordBody::TopicCreated, fb::TopicCreated::create(b, &args).as_union_value())
        }
        Record::TopicDeleted { id } => {
            let args = fb::TopicDeletedArgs { id: Some(&to_id(*id)) };
            (fb::RecordBody::TopicDeleted, fb::TopicDeleted::create(b, &args).as_union_value())
        }
        Record::TopicForgotten { id } => {
            let args = fb::TopicForgottenArgs { id: Some(&to_id(*id)) };
            (fb::RecordBody::TopicForgotten, fb::TopicForgotten::create(b, &args).as_union_value())
        }
        Record::PartitionsAdded { id, partitions } => {
            let id = to_id(*id);
            let partitions = Some(put_alike(b, partitions.iter(), put_new_partition));
            let args = fb::PartitionsAddedArgs { id: Some(&id), partitions };
            let body = fb::PartitionsAdded::create(b, &args).as_union_value();
            (fb::RecordBody::PartitionsAdded, body)
        }
        Record::TopicConfigSet { id, settings } => {
            let id = to_id(*id);
            let settings = Some(put_settings(b, changes(settings)));
            let args = fb::TopicConfigSetArgs { id: Some(&id), settings };
            (fb::RecordBody::TopicConfigSet, fb::TopicConfigSet::create(b, &args).as_union_value())
        }
        Record::BrokerConfigSet { broker, settings } => {
            let settings = Some(put_settings(b, changes(settings)));
            let args = fb::BrokerConfigSetArgs { broker: broker.unwrap_or(-1), settings };
            let body = fb::BrokerConfigSet::create(b, &args).as_union_value();
            (fb::RecordBody::BrokerConfigSet, body)
        }
        Record::BrokerStarted { broker, host, port, rack } => {
            let host = Some(b.create_string(host));
            let rack = rack.as_ref().map(|it| b.create_string(it));
            let args = fb::BrokerStartedArgs { broker: *broker, host, port: *port, rack };
            (fb::RecordBody::BrokerStarted, fb::BrokerStarted::create(b, &args).as_union_value())
        }
        Record::ProducerIdsTaken { count } => {
            let args = fb::ProducerIdsTakenArgs { count: *count };
            let body = fb::ProducerIdsTaken::create(b, &args).as_union_value();
            (fb::RecordBody::ProducerIdsTaken, body)
        }
        Record::BrokerRegistered(it) => {
            (fb::RecordBody::BrokerRegistered, put_registration(b, it).as_union_value())
        }
        Record::BrokerFenced { broker } => {
            let args = fb::BrokerFencedArgs { broker: *broker };
            (fb::RecordBody::BrokerFenced, fb::BrokerFenced::create(b, &args).as_union_value())
        }
        Record::BrokerUnfenced { broker } => {
            let args = fb::BrokerUnfencedArgs { broker: *broker, space: 0 };
            (fb::RecordBody::BrokerUnfenced, fb::BrokerUnfenced::create(b, &args).as_union_value())
        }
        // A version that knows nothing of space takes it for what is so already.
        Record::BrokerSpace { broker, lacks } => {
            let space = if *lacks { SPACE_LACKING } else { SPACE_THERE };
            let args = fb::BrokerUnfencedArgs { broker: *broker, space };
            (fb::RecordBody::BrokerUnfenced, fb::BrokerUnfenced::create(b, &args).as_union_value())
        }
        Record::BrokerShuttingDown { broker } => {
            let args = fb::BrokerShuttingDownArgs { broker: *broker };
            let body = fb::BrokerShuttingDown::create(b, &args).as_union_value();
            (fb::RecordBody::BrokerShuttingDown, body)
        }
        Record::BrokerUnregistered { broker } => {
            let args = fb::BrokerUnregisteredArgs { broker: *broker };
            let body = fb::BrokerUnregistered::create(b, &args).as_union_value();
            (fb::RecordBody::BrokerUnregistered, body)
        }
        Record::PartitionsChanged { id, changes } => {
            let numbers: Vec<i32> = changes.iter().map(|it| it.0).collect();
            let args = fb::PartitionsChangedArgs {
                id: Some(&to_id(*id)),
                partitions: Some(b.create_vector(&numbers)),
                changes: Some(put_alike(b, changes.iter().map(|it| &it.1), put_change)),
            };
            let body = fb::PartitionsChanged::create(b, &args).as_union_value();
            (fb::RecordBody::PartitionsChanged, body)
        }
        Record::GroupConfigSet { group, settings } => {
            let settings = Some(put_settings(b, changes(settings)));
            let args = fb::GroupConfigSetArgs { group: Some(b.create_string(group)), settings };
            (fb::RecordBody::GroupConfigSet, fb::GroupConfigSet::create(b, &args).as_union_value())
        }
        Record::FeatureLevelSet { name, level } => {
            let body = put_level(b, name, *level).as_union_value();
            (fb::RecordBody::FeatureLevelSet, body)
        }
    }
}

fn put_level<'a>(
    b: &mut Builder<'a>,
    name: &str,
    level: i16,
) -> WIPOffset<fb::FeatureLevelSet<'a>> {
    let name = Some(b.create_string(name));
    fb::FeatureLevelSet::create(b, &fb::FeatureLevelSetArgs { name, level })
}

fn put_features<'a>(
    b: &mut Builder<'a>,
    ranges: &FeatureRanges,
) -> WIPOffset<Tables<'a, fb::FeatureRange<'a>>> {
    let all: Vec<_> = ranges
        .iter()
        .map(|(name, range)| {
            let name = Some(b.create_string(name));
            let args = fb::FeatureRangeArgs { name, min: range.min, max: range.max };
            fb::FeatureRange::create(b, &args)
        })
        .collect();
    b.create_vector(&all)
}

fn get_features(ranges: Option<Tables<'_, fb::FeatureRange<'_>>>) -> FeatureRanges {
    let Some(ranges) = ranges else { return features::unsaid() };
    let range = |it: &fb::FeatureRange<'_>| FeatureRange { min: it.min(), max: it.max() };
    ranges.iter().map(|it| (it.name().to_owned(), range(&it))).collect()
}

fn put_registration<'a>(
    b: &mut Builder<'a>,
    it: &Registration,
) -> WIPOffset<fb::BrokerRegistered<'a>> {
    let args = fb::BrokerRegisteredArgs {
        broker: it.id,
        incarnation: it.incarnation,
        directory: Some(&to_directory(it.directory)),
        host: Some(b.create_string(&it.host)),
        port: it.port,
        peer_host: Some(b.create_string(&it.peer_host)),
        peer_port: it.peer_port,
        rack: it.rack.as_ref().map(|it| b.create_string(it)),
        shards: it.shards,
        features: Some(put_features(b, &it.features)),
    };
    fb::BrokerRegistered::create(b, &args)
}

fn get_registration(it: &fb::BrokerRegistered<'_>) -> Registration {
    Registration {
        id: it.broker(),
        incarnation: it.incarnation(),
        directory: from_directory(it.directory()),
        host: it.host().to_owned(),
        port: it.port(),
        peer_host: it.peer_host().to_owned(),
        peer_port: it.peer_port(),
        rack: it.rack().map(str::to_owned),
        shards: it.shards(),
        features: get_features(it.features()),
    }
}

/// The records in the data of one Raft entry.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Record>, CodecError> {
    let batch = root::<fb::Batch<'_>>(bytes)?;
    batch.records().iter().map(|record| get_body(&record)).collect()
}

fn get_body(record: &fb::Record<'_>) -> Result<Record, CodecError> {
    let unknown = || CodecError::UnknownRecord(record.body_type().0);
    Ok(match record.body_type() {
        fb::RecordBody::TopicCreated => {
            let it = record.body_as_topic_created().ok_or_else(unknown)?;
            Record::TopicCreated {
                id: from_id(it.id()),
                name: it.name().to_owned(),
                partitions: get_new_partitions(it.partitions()),
                settings: get_values(it.settings()).collect(),
            }
        }
        fb::RecordBody::TopicDeleted => {
            let it = record.body_as_topic_deleted().ok_or_else(unknown)?;
            Record::TopicDeleted { id: from_id(it.id()) }
        }
        fb::RecordBody::TopicForgotten => {
            let it = record.body_as_topic_forgotten().ok_or_else(unknown)?;
            Record::TopicForgotten { id: from_id(it.id()) }
        }
        fb::RecordBody::PartitionsAdded => {
            let it = record.body_as_partitions_added().ok_or_else(unknown)?;
            let partitions = get_new_partitions(it.partitions());
            Record::PartitionsAdded { id: from_id(it.id()), partitions }
        }
        fb::RecordBody::TopicConfigSet => {
            let it = record.body_as_topic_config_set().ok_or_else(unknown)?;
            Record::TopicConfigSet { id: from_id(it.id()), settings: get_changes(it.settings()) }
        }
        fb::RecordBody::BrokerConfigSet => {
            let it = record.body_as_broker_config_set().ok_or_else(unknown)?;
            let broker = (it.broker() >= 0).then_some(it.broker());
            Record::BrokerConfigSet { broker, settings: get_changes(it.settings()) }
        }
        fb::RecordBody::BrokerStarted => {
            let it = record.body_as_broker_started().ok_or_else(unknown)?;
            Record::BrokerStarted {
                broker: it.broker(),
                host: it.host().to_owned(),
                port: it.port(),
                rack: it.rack().map(str::to_owned),
            }
        }
        fb::RecordBody::ProducerIdsTaken => {
            let it = record.body_as_producer_ids_taken().ok_or_else(unknown)?;
            Record::ProducerIdsTaken { count: it.count() }
        }
        fb::RecordBody::BrokerRegistered => {
            let it = record.body_as_broker_registered().ok_or_else(unknown)?;
            Record::BrokerRegistered(get_registration(&it))
        }
        fb::RecordBody::BrokerFenced => {
            let it = record.body_as_broker_fenced().ok_or_else(unknown)?;
            Record::BrokerFenced { broker: it.broker() }
        }
        fb::RecordBody::BrokerUnfenced => {
            let it = record.body_as_broker_unfenced().ok_or_else(unknown)?;
            match it.space() {
                SPACE_LACKING => Record::BrokerSpace { broker: it.broker(), lacks: true },
                SPACE_THERE => Record::BrokerSpace { broker: it.broker(), lacks: false },
                _ => Record::BrokerUnfenced { broker: it.broker() },
            }
        }
        fb::RecordBody::BrokerShuttingDown => {
            let it = record.body_as_broker_shutting_down().ok_or_else(unknown)?;
            Record::BrokerShuttingDown { broker: it.broker() }
        }
        fb::RecordBody::BrokerUnregistered => {
            let it = record.body_as_broker_unregistered().ok_or_else(unknown)?;
            Record::BrokerUnregistered { broker: it.broker() }
        }
        fb::RecordBody::PartitionsChanged => {
            let it = record.body_as_partitions_changed().ok_or_else(unknown)?;
            let (numbers, mut interned) = (it.partitions(), Interned::default());
            if numbers.len() != it.changes().len() {
                return Err(CodecError::Nonsense("changes of other partitions than are named"));
            }
            let changes = it.changes().iter().map(|it| interned.get_change(&it));
            let changes = numbers.iter().zip(changes).collect();
            Record::PartitionsChanged { id: from_id(it.id()), changes }
        }
        fb::RecordBody::FeatureLevelSet => {
            let it = record.body_as_feature_level_set().ok_or_else(unknown)?;
            Record::FeatureLevelSet { name: it.name().to_owned(), level: it.level() }
        }
        fb::RecordBody::GroupConfigSet => {
            let it = record.body_as_group_config_set().ok_or_else(unknown)?;
            let settings = get_changes(it.settings());
            Record::GroupConfigSet { group: it.group().to_owned(), settings }
        }
        _ => return Err(unknown()),
    })
}

/// Raft entries. What changes the membership is read and written by Raft's crate in Protocol Buffers; that
/// form stays in memory, so that its reader sees nothing but what its writer has made.
pub(super) fn put_entries<'a>(
    b: &mut Builder<'a>,
    entries: &[Entry],
) -> WIPOffset<Vector<'a, ForwardsUOffset<fb::LogEntry<'a>>>> {
    let offsets: Vec<_> = entries
        .iter()
        .map(|entry| {
            let normal = entry.get_entry_type() == EntryType::EntryNormal;
            let data = (normal && !entry.data.is_empty()).then(|| b.create_vector(&entry.data));
            let membership = (!normal).then(|| put_membership_change(b, &membership_change(entry)));
            let (term, index) = (entry.term, entry.index);
            fb::LogEntry::create(b, &fb::LogEntryArgs { term, index, data, membership })
        })
        .collect();
    b.create_vector(&offsets)
}

/// What [`put_entries`] put; batches of records are checked.
pub(super) fn get_entries<'a>(
    entries: Vector<'a, ForwardsUOffset<fb::LogEntry<'a>>>,
) -> Result<Vec<Entry>, CodecError> {
    entries.iter().map(|it| get_entry(&it)).collect()
}

fn get_entry(it: &fb::LogEntry<'_>) -> Result<Entry, CodecError> {
    let mut entry = Entry { term: it.term(), index: it.index(), ..Entry::default() };
    if let Some(change) = it.membership() {
        entry.set_entry_type(EntryType::EntryConfChangeV2);
        let change = get_membership_change(&change)?;
        entry.data = change.write_to_bytes().expect("a message without required fields").into();
    } else if let Some(data) = it.data() {
        decode_batch(data.bytes())?;
        entry.data = data.bytes().to_vec().into();
    }
    Ok(entry)
}

/// The change of the membership that an entry carries.
pub(super) fn membership_change(entry: &Entry) -> ConfChangeV2 {
    let mut change = ConfChangeV2::default();
    change.merge_from_bytes(&entry.data).expect("what Raft has written");
    change
}

fn put_membership_change<'a>(
    b: &mut Builder<'a>,
    change: &ConfChangeV2,
) -> WIPOffset<fb::MembershipChange<'a>> {
    let kind = |it: &ConfChangeSingle| match it.get_change_type() {
        ConfChangeType::AddNode => fb::MemberKind::Voter,
        ConfChangeType::RemoveNode => fb::MemberKind::Removed,
        ConfChangeType::AddLearnerNode => fb::MemberKind::Learner,
    };
    let changes: Vec<_> =
        change.changes.iter().map(|it| fb::MemberChange::new(it.node_id, kind(it))).collect();
    let changes = Some(b.create_vector(&changes));
    fb::MembershipChange::create(b, &fb::MembershipChangeArgs { changes })
}

fn get_membership_change(it: &fb::MembershipChange<'_>) -> Result<ConfChangeV2, CodecError> {
    let change = |it: &fb::MemberChange| {
        let kind = match it.kind() {
            fb::MemberKind::Voter => ConfChangeType::AddNode,
            fb::MemberKind::Removed => ConfChangeType::RemoveNode,
            fb::MemberKind::Learner => ConfChangeType::AddLearnerNode,
            _ => return Err(CodecError::Nonsense("a member of no kind that there is")),
        };
        if it.node() == 0 {
            return Err(CodecError::Nonsense("a member without an id"));
        }
        Ok(ConfChangeSingle { change_type: kind, node_id: it.node(), ..Default::default() })
    };
    let changes: Result<Vec<_>, _> = it.changes().iter().map(change).collect();
    Ok(ConfChangeV2 { changes: changes?.into(), ..Default::default() })
}

/// The payload of one write to the log.
pub fn encode_write(hard_state: Option<&HardState>, entries: &[Entry]) -> Vec<u8> {
    let mut builder = Builder::new();
    let b = &mut builder;
    let entries = Some(put_entries(b, entries));
    let hard_state = hard_state.map(to_hard_state);
    let args = fb::LogWriteArgs { hard_state: hard_state.as_ref(), entries };
    let write = fb::LogWrite::create(b, &args);
    b.finish_minimal(write);
    builder.finished_data().to_vec()
}

/// What [`encode_write`] wrote.
pub fn decode_write(bytes: &[u8]) -> Result<(Option<HardState>, Vec<Entry>), CodecError> {
    let write = root::<fb::LogWrite<'_>>(bytes)?;
    Ok((write.hard_state().map(from_hard_state), get_entries(write.entries())?))
}

fn to_hard_state(it: &HardState) -> fb::HardState {
    fb::HardState::new(it.term, it.vote, it.commit)
}

fn from_hard_state(it: &fb::HardState) -> HardState {
    HardState { term: it.term(), vote: it.vote(), commit: it.commit(), ..HardState::default() }
}

/// What Raft must know of a snapshot besides its image.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotState {
    /// Term of the last entry that the image holds.
    pub term: u64,
    /// Raft's hard state when it was taken.
    pub hard_state: HardState,
    /// Who votes and who follows, by Raft's ids.
    pub members: ConfState,
    /// Number of the log file that holds what follows.
    pub log: u64,
    /// Raft's id of the member whose snapshot it is; 0 where that is not known.
    pub node: u64,
}

/// An image and the state of Raft at its index. Pauses after each topic.
pub async fn encode_snapshot(
    image: &Image,
    state: &SnapshotState,
    pause: &impl AsyncFn(),
) -> Vec<u8> {
    let mut builder = Builder::new();
    let b = &mut builder;
    let mut topics = Vec::with_capacity(image.topics.len());
    for topic in image.topics.values() {
        let partitions = put_alike(b, topic.partitions.iter(), put_partition);
        let settings =
            (!topic.overrides.is_empty()).then(|| put_settings(b, values(&*topic.overrides)));
        let args = fb::TopicStateArgs {
            id: Some(&to_id(topic.id)),
            name: Some(b.create_string(&topic.name)),
            partitions: Some(partitions),
            settings,
        };
        topics.push(fb::TopicState::create(b, &args));
        pause().await;
    }
    let brokers: Vec<_> = image
        .brokers
        .values()
        .map(|it| {
            let args = fb::BrokerStateArgs {
                broker: it.id,
                host: Some(b.create_string(&it.host)),
                port: it.port,
                rack: it.rack.as_ref().map(|it| b.create_string(it)),
                incarnation: it.incarnation,
                directory: Some(&to_directory(it.directory)),
                peer_host: Some(b.create_string(&it.peer_host)),
                peer_port: it.peer_port,
                shards: it.shards,
                fenced: it.fenced,
                shutting_down: it.shutting_down,
                lacks_space: it.lacks_space,
                features: Some(put_features(b, &it.features)),
            };
            fb::BrokerState::create(b, &args)
        })
        .collect();
    let settings: Vec<_> = image
        .settings
        .iter()
        .map(|(broker, settings)| {
            let settings = Some(put_settings(b, values(&**settings)));
            let args = fb::BrokerSettingsArgs { broker: broker.unwrap_or(-1), settings };
            fb::BrokerSettings::create(b, &args)
        })
        .collect();
    let mut groups = Vec::with_capacity(image.groups.len());
    for (group, settings) in &image.groups {
        let settings = Some(put_settings(b, values(&**settings)));
        let args = fb::GroupSettingsArgs { group: Some(b.create_string(group)), settings };
        groups.push(fb::GroupSettings::create(b, &args));
        pause().await;
    }
    let levels = image.features.iter().map(|(name, level)| put_level(b, name, *level));
    let levels: Vec<_> = levels.collect();
    let deleting: Vec<_> = image.deleting.iter().map(|id| to_id(*id)).collect();
    let hard_state = to_hard_state(&state.hard_state);
    let membership = put_membership(b, &state.members);
    let args = fb::SnapshotArgs {
        cluster_id: Some(b.create_string(&image.cluster_id)),
        index: image.index,
        term: state.term,
        hard_state: Some(&hard_state),
        voters: Some(b.create_vector(&state.members.voters)),
        log: state.log,
        next_producer_id: image.next_producer_id,
        brokers: Some(b.create_vector(&brokers)),
        settings: Some(b.create_vector(&settings)),
        topics: Some(b.create_vector(&topics)),
        deleting: Some(b.create_vector(&deleting)),
        membership,
        node: state.node,
        features: (!levels.is_empty()).then(|| b.create_vector(&levels)),
        groups: (!groups.is_empty()).then(|| b.create_vector(&groups)),
    };
    let snapshot = fb::Snapshot::create(b, &args);
    b.finish_minimal(snapshot);
    builder.finished_data().to_vec()
}

/// What [`encode_snapshot`] wrote, as Raft carries it.
pub fn raft_snapshot(bytes: &[u8]) -> Result<raft::eraftpb::Snapshot, CodecError> {
    let snapshot = root::<fb::Snapshot<'_>>(bytes)?;
    let members = get_membership(snapshot.voters(), snapshot.membership());
    if members.voters.is_empty() || snapshot.index() == 0 || snapshot.term() == 0 {
        return Err(CodecError::Nonsense("a snapshot without voters, or of nothing"));
    }
    let data = bytes.to_vec().into();
    let mut result = raft::eraftpb::Snapshot { data, ..Default::default() };
    let metadata = result.mut_metadata();
    metadata.index = snapshot.index();
    metadata.term = snapshot.term();
    *metadata.mut_conf_state() = members;
    Ok(result)
}

/// A snapshot that another member has sent, with the state of this one.
pub fn with_state(bytes: &[u8], state: &SnapshotState) -> Result<Vec<u8>, CodecError> {
    let (image, _) = decode_snapshot(bytes, -1, Arc::default())?;
    Ok(block_on(encode_snapshot(&image, state, &async || {})))
}

/// What [`encode_snapshot`] wrote, for a broker with these static settings.
pub fn decode_snapshot(
    bytes: &[u8],
    node_id: i32,
    fixed: Arc<BTreeMap<String, String>>,
) -> Result<(Image, SnapshotState), CodecError> {
    let snapshot = root::<fb::Snapshot<'_>>(bytes)?;
    let mut image = Image::new(snapshot.cluster_id(), node_id, fixed);
    image.index = snapshot.index();
    image.next_producer_id = snapshot.next_producer_id();
    for it in snapshot.brokers() {
        let registration = Registration {
            id: it.broker(),
            incarnation: it.incarnation(),
            directory: it.directory().map(from_directory).unwrap_or_default(),
            host: it.host().to_owned(),
            port: it.port(),
            peer_host: it.peer_host().unwrap_or(it.host()).to_owned(),
            peer_port: it.peer_port(),
            rack: it.rack().map(str::to_owned),
            shards: it.shards(),
            features: get_features(it.features()),
        };
        let (fenced, shutting_down) = (it.fenced(), it.shutting_down());
        let lacks_space = it.lacks_space();
        let broker = Broker { registration, fenced, shutting_down, lacks_space };
        image.insert_broker(broker);
    }
    for it in snapshot.settings() {
        let broker = (it.broker() >= 0).then_some(it.broker());
        let settings = get_values(Some(it.settings())).collect();
        image.settings.insert(broker, Arc::new(settings));
    }
    image.settings_changed();
    let mut interned = Interned::default();
    for topic in snapshot.topics() {
        let partitions = topic.partitions();
        let partitions = partitions.iter().map(|it| interned.get_partition(&it)).collect();
        let overrides = get_values(topic.settings()).collect();
        image.insert_topic(from_id(topic.id()), topic.name().into(), partitions, overrides);
    }
    image.deleting = snapshot.deleting().iter().map(from_id).collect();
    for it in snapshot.groups().into_iter().flatten() {
        let settings = get_values(Some(it.settings())).collect();
        image.insert_group(it.group().into(), Arc::new(settings));
    }
    let levels = snapshot.features().into_iter().flatten();
    image.features = levels.map(|it| (it.name().to_owned(), it.level())).collect();
    let state = SnapshotState {
        term: snapshot.term(),
        hard_state: from_hard_state(snapshot.hard_state()),
        members: get_membership(snapshot.voters(), snapshot.membership()),
        log: snapshot.log(),
        node: snapshot.node(),
    };
    Ok((image, state))
}

fn put_membership<'a>(
    b: &mut Builder<'a>,
    members: &ConfState,
) -> Option<WIPOffset<fb::Membership<'a>>> {
    let voters_only = ConfState::from((members.voters.clone(), Vec::new()));
    if *members == voters_only {
        return None;
    }
    let args = fb::MembershipArgs {
        learners: Some(b.create_vector(&members.learners)),
        voters_outgoing: Some(b.create_vector(&members.voters_outgoing)),
        learners_next: Some(b.create_vector(&members.learners_next)),
        auto_leave: members.auto_leave,
    };
    Some(fb::Membership::create(b, &args))
}

fn get_membership(voters: Vector<'_, u64>, others: Option<fb::Membership<'_>>) -> ConfState {
    let mut members = ConfState::from((voters.iter(), Vec::new()));
    if let Some(it) = others {
        members.learners = it.learners().iter().collect();
        members.voters_outgoing = it.voters_outgoing().iter().collect();
        members.learners_next = it.learners_next().iter().collect();
        members.auto_leave = it.auto_leave();
    }
    members
}

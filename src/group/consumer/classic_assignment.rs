//! Assignments as members of the classic protocol understand them: topics by name, in their protocol's format.

use bytes::Bytes;

use super::member::MemberMetadata;
use super::partitions::{self, Partitions};
use crate::group::cluster::ClusterView;
use crate::group::consumer_protocol::{NamedPartitions, read_subscription, write_assignment};

/// Partitions by topic's id, as far as there are such topics.
pub(super) fn by_id(named: NamedPartitions<'_>, view: &dyn ClusterView) -> Partitions {
    let known = named.into_iter().filter_map(|(name, it)| Some((view.topic(name)?.id, it)));
    partitions::collect(known)
}

/// What a member is assigned, as it understands it.
pub(super) fn assignment(
    member: &MemberMetadata,
    assigned: &Partitions,
    view: &dyn ClusterView,
) -> Bytes {
    let named =
        assigned.iter().filter_map(|(id, it)| Some((view.topic_by_id(*id)?.name, it.clone())));
    let metadata = member.classic.iter().flat_map(|it| &it.protocols).next();
    let version = metadata.and_then(|it| read_subscription(&it.metadata).ok());
    let version = version.map_or(0, |it| it.version);
    write_assignment(version, &named.collect()).unwrap_or_default().into()
}

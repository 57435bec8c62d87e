//! `ConsumerGroupDescribe`.

use super::member::Member;
use super::partitions::Partitions;
use super::response::{ConsumerDescribed, ConsumerDescribedMember, DescribedTopic, Refusal};
use super::state::ConsumerGroup;
use crate::group::cluster::ClusterView;
use crate::group::context::Cx;
use crate::group::effect::Ticket;
use crate::group::response::GroupResponse;
use crate::group::state::Group;
use crate::group::walk::Task;
use crate::types::ErrorCode;

/// Partitions with the names of their topics. A topic that is gone has none, and is left out, as in Kafka.
fn topics(set: &Partitions, view: &dyn ClusterView) -> Vec<DescribedTopic> {
    let topic = |(id, numbers): (&_, &Vec<i32>)| {
        let name = view.topic_by_id(*id)?.name.to_owned();
        Some(DescribedTopic { id: *id, name, partitions: numbers.clone() })
    };
    set.iter().filter_map(topic).collect()
}

/// A member, as an administrator sees it.
fn described(
    id: &str,
    member: &Member,
    target: Option<&Partitions>,
    view: &dyn ClusterView,
) -> ConsumerDescribedMember {
    let metadata = &member.metadata;
    ConsumerDescribedMember {
        member_id: id.to_owned(),
        instance_id: metadata.instance_id.clone(),
        rack_id: metadata.rack_id.clone(),
        member_epoch: member.current.epoch,
        client_id: metadata.client_id.clone(),
        client_host: metadata.client_host.clone(),
        topics: metadata.topics.iter().cloned().collect(),
        regex: metadata.regex.clone(),
        assigned: topics(&member.current.assigned, view),
        target: target.map(|it| topics(it, view)).unwrap_or_default(),
        classic: member.is_classic(),
    }
}

impl Group {
    /// Answers with the group and its members.
    pub(in crate::group) fn consumer_describe(&mut self, cx: &mut Cx<'_>, ticket: Ticket) {
        let why = self.consumer.is_none().then(|| self.no_consumer_group());
        self.describe_unless(cx, ticket, why);
    }

    /// Answers with the share group and its members.
    pub(in crate::group) fn share_describe(&mut self, cx: &mut Cx<'_>, ticket: Ticket) {
        let why = (!self.is_share()).then(|| self.no_share_group());
        self.describe_unless(cx, ticket, why);
    }

    fn describe_unless(&mut self, cx: &mut Cx<'_>, ticket: Ticket, refusal: Option<Refusal>) {
        let Some(group) = self.consumer.as_deref().filter(|_| refusal.is_none()) else {
            let (error, why) = refusal.unwrap_or_else(|| self.no_consumer_group());
            let refused = ConsumerDescribed::refused(self.id.to_string(), error, Some(why));
            return cx.reply(ticket, GroupResponse::ConsumerDescribe(refused));
        };
        let described = ConsumerDescribed {
            error: ErrorCode::NONE,
            error_message: None,
            group_id: self.id.to_string(),
            state: group.state_name(),
            epoch: group.epoch(),
            target_epoch: group.target_epoch(),
            assignor: self.assignor(cx).name().to_owned(),
            members: Vec::with_capacity(group.len()),
        };
        self.walk(cx, Task::ConsumerDescribe { ticket, described });
    }
}

/// Describes so many members at most behind `last`, which is moved on; how many there were.
pub(in crate::group) fn describe_some(
    group: &ConsumerGroup,
    view: &dyn ClusterView,
    last: &mut Option<String>,
    room: usize,
    out: &mut Vec<ConsumerDescribedMember>,
) -> usize {
    group.visit(last, room, |id, member| {
        out.push(described(id, member, group.target(id).map(|it| &**it), view));
    })
}

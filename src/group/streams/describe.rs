//! `StreamsGroupDescribe`.

use super::member::OwnedTasks;
use super::response::{DescribedTopology, StreamsDescribed, StreamsDescribedMember};
use crate::group::consumer::state::ConsumerGroup;
use crate::group::context::Cx;
use crate::group::effect::Ticket;
use crate::group::response::GroupResponse;
use crate::group::state::Group;
use crate::group::walk::Task;
use crate::types::ErrorCode;

impl Group {
    /// Answers with the streams group and its members.
    pub(in crate::group) fn streams_describe(&mut self, cx: &mut Cx<'_>, ticket: Ticket) {
        let found = self.consumer.as_deref().and_then(|it| Some((it, it.streams()?)));
        let Some((group, streams)) = found else {
            let (error, why) = self.no_streams_group("Group");
            let refused = StreamsDescribed::refused(self.id.to_string(), error, Some(why));
            return cx.reply(ticket, GroupResponse::StreamsDescribe(Box::new(refused)));
        };
        // What is known of its topics, as far as tasks can be assigned.
        let configured = streams.configured.as_ref().map(|it| &it.configured);
        let configured = configured.filter(|it| it.ready().is_some());
        let topology = match configured {
            Some(it) => Some(DescribedTopology::Configured((**it).clone())),
            None => streams.topology().cloned().map(DescribedTopology::Declared),
        };
        let described = Box::new(StreamsDescribed {
            error: ErrorCode::NONE,
            error_message: None,
            group_id: self.id.to_string(),
            state: group.state_name(),
            epoch: group.epoch(),
            target_epoch: group.target_epoch(),
            topology,
            members: Vec::with_capacity(group.len()),
        });
        self.walk(cx, Task::StreamsDescribe { ticket, described });
    }
}

/// Describes so many members at most behind `last`, which is moved on; how many there were.
pub fn describe_some(
    group: &ConsumerGroup,
    last: &mut Option<String>,
    room: usize,
    described: &mut Vec<StreamsDescribedMember>,
) -> usize {
    let nothing = OwnedTasks::default();
    group.visit(last, room, |id, member| {
        let metadata = &member.metadata;
        let target = group.streams().and_then(|it| it.target(id));
        described.push(StreamsDescribedMember {
            member_id: id.to_owned(),
            member_epoch: member.current.epoch,
            instance_id: metadata.instance_id.clone(),
            rack_id: metadata.rack_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            streams: metadata.streams.as_deref().cloned().unwrap_or_default(),
            assigned: member.current.tasks.as_deref().unwrap_or(&nothing).assigned.clone(),
            target: target.map(|it| (**it).clone()).unwrap_or_default(),
        });
    })
}

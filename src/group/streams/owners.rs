//! Who has which task, or may have it still.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::member::{OwnedTasks, Role};
use crate::group::consumer::partitions;
use crate::group::entry::ENTRY;

/// Members by task: one has an active one, but while a log is loaded; several may have its standbys.
#[derive(Debug, Default)]
pub struct Owners(BTreeSet<(Role, Arc<str>, i32, Arc<str>)>);

impl Owners {
    /// A member has other tasks than before.
    pub fn change(&mut self, id: &str, old: Option<&OwnedTasks>, new: Option<&OwnedTasks>) {
        let id = Arc::<str>::from(id);
        let entries = |of: &OwnedTasks| {
            let mut all = Vec::new();
            for tasks in [&of.assigned, &of.revoking] {
                for role in Role::ALL {
                    let tasks = partitions::iter(role.of(tasks));
                    all.extend(tasks.map(|(task, number)| (role, task, number, Arc::clone(&id))));
                }
            }
            all
        };
        for it in old.into_iter().flat_map(entries) {
            self.0.remove(&it);
        }
        self.0.extend(new.into_iter().flat_map(entries));
    }

    /// The members that have a task in this role.
    pub fn of(
        &self,
        role: Role,
        subtopology: &Arc<str>,
        partition: i32,
    ) -> impl Iterator<Item = &str> {
        let from = (role, Arc::clone(subtopology), partition, Arc::default());
        self.0
            .range(from..)
            .take_while(move |it| it.0 == role && it.2 == partition && it.1 == *subtopology)
            .map(|it| &*it.3)
    }

    /// Memory that they take, bytes.
    pub fn bytes(&self) -> usize {
        2 * ENTRY * self.0.len()
    }
}

//! What a seed's run is made of: topics, clients, faults.

use crate::checkers::Facts;
use crate::client::Client;
use crate::process::broker_settings;
use crate::roles::admin::Admin;
use crate::roles::committer::Committer;
use crate::roles::consumer::Consumer;
use crate::roles::member::Member;
use crate::roles::producer::Producer;
use klamm::storage::device::sim_disk::Rng;
use klamm::types::Compression;
use std::collections::BTreeMap;

/// The disk where it is not full.
const AMPLE: u64 = 1 << 40;

pub struct Plan {
    pub settings: BTreeMap<String, String>,
    pub faulty: bool,
    /// The disk is small, and others fill it now and then.
    pub fills_up: bool,
    pub short_memory: bool,
    /// The clock is never set.
    pub steady_clock: bool,
    pub capacity: u64,
    pub lives: u64,
    /// How often time passes beside what happens, in a hundred, and how much at most, ms.
    pub pace: (u64, u64),
    seed: u64,
}

impl Plan {
    pub fn new(seed: u64, rng: &mut Rng) -> Self {
        let fills_up = seed % 6 == 4;
        Self {
            settings: broker_settings(rng.between(1, 4)),
            faulty: seed % 5 == 3,
            fills_up,
            short_memory: seed % 7 == 2,
            steady_clock: seed % 3 == 0,
            capacity: if fills_up { 64 << 20 } else { AMPLE },
            lives: rng.between(2, 4),
            pace: [(4, 5), (6, 50), (10, 300)][rng.index(3)],
            seed,
        }
    }

    /// Settings of a topic, and what follows from them for what is checked.
    fn topic(&self, rng: &mut Rng, facts: &mut Facts, topic: usize) -> Vec<(&'static str, String)> {
        let mut settings = vec![("file.delete.delay.ms", [0, 1000][rng.index(2)].to_string())];
        let it = &mut facts.topics.0[topic];
        if rng.chance(50) {
            settings.push(("segment.ms", rng.between(100, 5000).to_string()));
        }
        match rng.below(10) {
            0 => {
                it.retention_ms = Some(3000);
                settings.push(("retention.ms", "3000".to_owned()));
            }
            1 => {
                it.retention_bytes = true;
                settings.push(("retention.bytes", "20000".to_owned()));
            }
            _ => settings.push(("retention.ms", "-1".to_owned())),
        }
        if self.seed % 4 == 1 && it.retention_ms.is_none() && !it.retention_bytes {
            it.compacted = true;
            it.tombstones_stay = rng.chance(50);
            let retention_ms = if it.tombstones_stay { 86_400_000 } else { 0 };
            settings.retain(|it| it.0 != "segment.ms");
            settings.push(("segment.ms", rng.between(100, 1000).to_string()));
            settings.push(("cleanup.policy", "compact".to_owned()));
            settings.push(("min.cleanable.dirty.ratio", "0".to_owned()));
            settings.push(("delete.retention.ms", retention_ms.to_string()));
        }
        if rng.chance(25) {
            it.stamps_rise = self.steady_clock;
            settings.push(("message.timestamp.type", "LogAppendTime".to_owned()));
        }
        // Of its own numbers: the other seeds draw what they drew before.
        let mut rng = Rng::new(self.seed << 8 | topic as u64);
        if self.seed % 5 == 1 && rng.chance(70) {
            let names = ["uncompressed", "gzip", "snappy", "lz4", "zstd"];
            let name = names[rng.index(names.len())];
            facts.topics.0[topic].compression = Compression::of_topic(name);
            settings.push(("compression.type", name.to_owned()));
            if rng.chance(30) {
                settings.push(("compression.zstd.level", rng.between(1, 19).to_string()));
            }
        }
        settings
    }

    pub fn clients(&self, rng: &mut Rng, facts: &mut Facts) -> Vec<Client> {
        let mut clients: Vec<Client> = Vec::new();
        let admins = rng.between(1, 2) as usize;
        let mut owned = vec![Vec::new(); admins];
        let mut settings = vec![Vec::new(); admins];
        for number in 0..rng.between(2, 4) as usize {
            let topic = facts.topics.add(&format!("t{number}"), number > 0 && self.seed % 2 == 0);
            owned[number % admins].push(topic);
            settings[number % admins].push(self.topic(rng, facts, topic));
        }
        for (number, (owned, settings)) in owned.into_iter().zip(settings).enumerate() {
            let deletes = rng.chance(50);
            clients.push(Client::new(Box::new(Admin::new(number, owned, settings, deletes))));
        }
        for number in 0..rng.between(1, 3) as usize {
            let idempotent = rng.chance(60);
            let acks = if idempotent { -1 } else { [-1, 0, 1][rng.index(3)] };
            clients.push(Client::new(Box::new(Producer::new(number, idempotent, acks))));
        }
        for number in 0..rng.between(1, 3) as usize {
            let (sessions, again) = (rng.chance(60), rng.chance(30));
            clients.push(Client::new(Box::new(Consumer::new(number, sessions, again))));
        }
        if rng.chance(50) {
            for number in 0..rng.between(1, 3) as usize {
                clients.push(Client::new(Box::new(Committer::new(number, "solo"))));
            }
        }
        if rng.chance(50) {
            for number in 0..rng.between(2, 4) as usize {
                let group = ["many", "others"][number / 3];
                let is_static = rng.chance(40);
                clients.push(Client::new(Box::new(Member::new(number, group, is_static))));
            }
        }
        clients
    }
}

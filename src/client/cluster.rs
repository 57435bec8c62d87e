//! A client of a whole cluster: connections to its brokers, and what is known of it.

use super::protocol::{ApiRequest, Reply};
use super::{BrokerInfo, ClientError, Metadata, Retry, Transport};
use crate::config::host_port;
use crate::wire::kafka::metadata_request::{MetadataRequest, MetadataRequestTopic};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Any broker.
    Any,
    /// The controller, where the cluster names one.
    Controller,
    /// The broker of this node id.
    Node(i32),
}

/// Connections to a cluster. One request at a time to each broker, unless the caller uses
/// [`Cluster::node`] itself.
#[derive(Debug)]
pub struct Cluster {
    client_id: String,
    bootstrap: Vec<(String, u16)>,
    metadata: Metadata,
    /// By node id; -1 is the one that was found by its bootstrap address.
    connections: BTreeMap<i32, Transport>,
    /// Which of the addresses is tried next, where any broker will do.
    next: usize,
    /// How long a broker has for metadata while another could be asked instead.
    patience: Duration,
    timeout: Duration,
    /// How long an operation is tried, ms.
    give_up_ms: i64,
    start: Instant,
}

/// The time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The time for a connection to one of several brokers.
const CONNECT_TO_ONE_OF_MANY: Duration = Duration::from_secs(2);
/// The shortest time that a broker has for metadata, where there are several. It doubles with each that
/// does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

impl Cluster {
    /// How long an operation is tried before its last error is shown, in milliseconds:
    /// `default.api.timeout.ms`.
    pub const PATIENCE_MS: i64 = 60_000;
    /// How long a new topic may be without a leader, ms.
    const NEW_TOPIC_MS: i64 = 5_000;

    /// Connects to the first of `bootstrap`, `host:port` separated by commas, that answers.
    pub fn connect(bootstrap: &str) -> Result<Self, ClientError> {
        Self::connect_as(bootstrap, "klamm")
    }

    /// Operations are tried for so long from now on, ms, instead of [`Self::PATIENCE_MS`].
    pub const fn give_up_after(&mut self, ms: i64) {
        self.give_up_ms = ms;
    }

    /// As [`Cluster::connect`], with a client id of the caller's.
    pub fn connect_as(bootstrap: &str, client_id: &str) -> Result<Self, ClientError> {
        let addresses = bootstrap
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| {
                host_port(text, 9092)
                    .ok()
                    .filter(|(_, port)| *port > 0)
                    .ok_or_else(|| ClientError::BadAddress(text.to_owned()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(ClientError::BadAddress(format!("'{bootstrap}'")));
        }
        let mut this = Self {
            client_id: client_id.to_owned(),
            bootstrap: addresses,
            metadata: Metadata::default(),
            connections: BTreeMap::new(),
            next: 0,
            patience: PATIENCE,
            // Longer than what any request lets the broker take.
            timeout: Duration::from_secs(40),
            give_up_ms: Self::PATIENCE_MS,
            start: Instant::now(),
        };
        this.any()?;
        Ok(this)
    }

    /// The metadata that was received last.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The same, for what answers say beside.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Milliseconds since this client began.
    pub fn now_ms(&self) -> i64 {
        self.start.elapsed().as_millis() as i64
    }

    /// The attempts of an operation that begins now.
    pub fn retry(&self) -> Retry {
        Retry::new(self.now_ms(), self.give_up_ms)
    }

    /// Asks for the cluster and these topics, or for all of them. Says nothing of a topic's own
    /// errors: [`Metadata::topic`] does.
    pub fn refresh(
        &mut self,
        topics: Option<&[&str]>,
        auto_create: bool,
    ) -> Result<(), ClientError> {
        let mut retry = self.retry();
        loop {
            match self.refresh_once(topics, auto_create) {
                Ok(()) => return Ok(()),
                Err(e) => self.wait_or(&mut retry, e)?,
            }
        }
    }

    /// As [`Cluster::refresh`], without another attempt.
    pub fn refresh_once(
        &mut self,
        topics: Option<&[&str]>,
        auto_create: bool,
    ) -> Result<(), ClientError> {
        type Ask<'a> = MetadataRequest<'a>;
        let topics = topics.map(|names| {
            names
                .iter()
                .map(|name| MetadataRequestTopic { name: Some(name), ..Default::default() })
                .collect()
        });
        let request =
            Ask { topics, allow_auto_topic_creation: auto_create, ..MetadataRequest::default() };
        let patience = if self.addresses().len() > 1 { self.patience } else { self.timeout };
        let result = self.any().and_then(|(_, it)| it.call_within(&request, patience));
        match result {
            Ok(reply) => {
                self.patience = PATIENCE;
                self.metadata.update(&reply.read::<Ask<'_>>()?);
                Ok(())
            }
            Err(e) => {
                // Another broker is asked next.
                self.connections.clear();
                self.next = self.next.wrapping_add(1);
                self.patience = (self.patience * 2).min(self.timeout);
                Err(e)
            }
        }
    }

    /// Notes the address of a broker that an answer other than Metadata named, such as FindCoordinator's.
    pub fn learn(&mut self, id: i32, host: &str, port: i32) {
        let known = self.metadata.brokers.get(&id);
        if known.is_none_or(|b| b.host != host || b.port != port) {
            self.metadata.brokers.insert(id, BrokerInfo { host: host.to_owned(), port });
            self.connections.remove(&id);
        }
    }

    /// The version that an `R` is sent in.
    pub fn version<R: ApiRequest>(&mut self, to: To) -> Result<i16, ClientError> {
        self.connection(to)?.1.version::<R>()
    }

    /// Makes sure that every partition of a topic has a leader, waiting for it a while: a new topic
    /// takes a moment. Without `auto_create`, a topic that does not exist is an error at once.
    pub fn find_topic(&mut self, name: &str, auto_create: bool) -> Result<(), ClientError> {
        let mut retry = Retry::new(self.now_ms(), Self::NEW_TOPIC_MS);
        loop {
            self.refresh(Some(&[name]), auto_create)?;
            let found = self.metadata.topic(name).and_then(|topic| {
                topic.partitions.keys().try_for_each(|p| self.metadata.leader(name, *p).map(drop))
            });
            match found {
                Ok(()) => return Ok(()),
                Err(e @ ClientError::UnknownTopic(_)) if auto_create => {
                    let now = self.now_ms();
                    retry.after_failure(now).map(sleep_ms).ok_or(e)?;
                }
                Err(e) => self.wait_or(&mut retry, e)?,
            }
        }
    }

    /// Waits before the next attempt; returns the error if the time is over.
    pub fn wait_or(&self, retry: &mut Retry, e: ClientError) -> Result<(), ClientError> {
        if !e.is_retriable() {
            return Err(e);
        }
        retry.after_failure(self.now_ms()).map(sleep_ms).ok_or(e)
    }

    /// Sends a request and waits for the answer. `check` reads it; an error of its that may pass is
    /// met with another attempt, after metadata was asked for again.
    pub fn call<R: ApiRequest, T>(
        &mut self,
        to: To,
        request: &R,
        check: impl Fn(&Reply) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut retry = self.retry();
        loop {
            match self.try_call(to, request).and_then(|reply| check(&reply)) {
                Ok(value) => return Ok(value),
                Err(e) => {
                    self.wait_or(&mut retry, e)?;
                    self.refresh(Some(&[]), false)?;
                }
            }
        }
    }

    /// Sends a request once and waits for its answer; after an error the connection is dropped.
    pub fn try_call<R: ApiRequest>(&mut self, to: To, request: &R) -> Result<Reply, ClientError> {
        let (id, connection) = self.connection(to)?;
        let result = connection.call(request);
        if result.is_err() {
            self.forget(id);
            self.next = self.next.wrapping_add(1);
        }
        result
    }

    /// As [`Cluster::try_call`] for what a broker answers at once: one that does not, among several, is asked
    /// again later, with more time.
    pub fn try_call_soon<R: ApiRequest>(
        &mut self,
        to: To,
        request: &R,
    ) -> Result<Reply, ClientError> {
        let patience = if self.addresses().len() > 1 { self.patience } else { self.timeout };
        let (id, connection) = self.connection(to)?;
        let result = connection.call_within(request, patience);
        if result.is_ok() {
            self.patience = PATIENCE;
        } else {
            self.forget(id);
            self.next = self.next.wrapping_add(1);
            self.patience = (self.patience * 2).min(self.timeout);
        }
        result
    }

    fn connection(&mut self, to: To) -> Result<(i32, &mut Transport), ClientError> {
        match to {
            To::Node(id) => self.node(id).map(|c| (id, c)),
            To::Any => self.any(),
            To::Controller => {
                if self.metadata.brokers.is_empty() {
                    self.refresh(Some(&[]), false)?;
                }
                let id = self.metadata.controller;
                if self.metadata.brokers.contains_key(&id) {
                    return self.node(id).map(|c| (id, c));
                }
                self.any()
            }
        }
    }

    /// The connection to a broker, which is opened if there is none.
    pub fn node(&mut self, id: i32) -> Result<&mut Transport, ClientError> {
        if !self.connections.contains_key(&id) {
            let connection = self.open(id)?;
            self.connections.insert(id, connection);
        }
        Ok(self.connections.get_mut(&id).expect("inserted above"))
    }

    /// A new connection to a broker, the caller's own.
    pub fn open(&self, id: i32) -> Result<Transport, ClientError> {
        let broker = self.metadata.brokers.get(&id).ok_or_else(|| {
            let why = "the cluster does not know it".to_owned();
            ClientError::Unreachable { address: format!("broker {id}"), why }
        })?;
        let port = u16::try_from(broker.port).unwrap_or(0);
        let connect = self.connect_timeout();
        Transport::connect_to_broker(&broker.host, port, &self.client_id, connect, self.timeout)
            .map_err(|e| match e {
                ClientError::Unreachable { address, why } => ClientError::Unreachable {
                    address: format!("{address}, where broker {id} says it is"),
                    why,
                },
                e => e,
            })
    }

    /// Drops the connection to a broker, after an error.
    pub fn forget(&mut self, id: i32) {
        self.connections.remove(&id);
    }

    /// These brokers do not answer, or are cut off from the others and do not know it: where there are others, they are
    /// asked instead.
    pub fn ask_others_than(&mut self, silent: &BTreeSet<i32>) {
        let known = self.metadata.brokers.keys();
        let others: Vec<i32> = known.copied().filter(|id| !silent.contains(id)).collect();
        if others.is_empty() {
            return;
        }
        self.connections.retain(|id, _| others.contains(id));
        if self.connections.is_empty() {
            let _ = others.iter().find(|id| self.node(**id).is_ok());
        }
    }

    /// Where brokers may be: as the caller says, then as the cluster says.
    fn addresses(&self) -> Vec<Place> {
        let told = self.bootstrap.iter().map(|(host, port)| (-1, host.clone(), *port));
        let known = self.metadata.brokers.iter().filter_map(|(id, broker)| {
            let port = u16::try_from(broker.port).ok()?;
            let told = self.bootstrap.iter().any(|(h, p)| *h == broker.host && *p == port);
            (!told).then(|| (*id, broker.host.clone(), port))
        });
        told.chain(known).collect()
    }

    fn connect_timeout(&self) -> Duration {
        if self.addresses().len() > 1 { CONNECT_TO_ONE_OF_MANY } else { CONNECT }
    }

    fn dial(&self, host: &str, port: u16) -> Result<Transport, ClientError> {
        let connect = self.connect_timeout();
        if self.metadata.brokers.is_empty() {
            Transport::connect(host, port, &self.client_id, connect, self.timeout)
        } else {
            Transport::connect_to_broker(host, port, &self.client_id, connect, self.timeout)
        }
    }

    /// Any connection; opens one if there is none.
    fn any(&mut self) -> Result<(i32, &mut Transport), ClientError> {
        if self.connections.is_empty() {
            let addresses = self.addresses();
            let mut first = None;
            for _ in 0..addresses.len() {
                let (id, host, port) = &addresses[self.next % addresses.len()];
                match self.dial(host, *port) {
                    Ok(connection) => {
                        self.connections.insert(*id, connection);
                        break;
                    }
                    Err(e) => first = first.or(Some(e)),
                }
                self.next = self.next.wrapping_add(1);
            }
            if let (true, Some(e)) = (self.connections.is_empty(), first) {
                return Err(e);
            }
        }
        let (id, connection) = self.connections.iter_mut().next().expect("one was inserted");
        Ok((*id, connection))
    }
}

/// Where a broker may be: its node id, -1 where it is not known, host and port.
type Place = (i32, String, u16);

fn sleep_ms(ms: i64) {
    std::thread::sleep(Duration::from_millis(ms.max(0) as u64));
}

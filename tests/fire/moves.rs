//! Leaders that an operator moves: AlterPartitionReassignments puts another replica first, ElectLeaders has it lead.

use crate::nodes::PATIENCE;
use klamm::types::ErrorCode;
use klamm::wire::api_keys::ApiKey;
use klamm::wire::header::{RequestHeader, decode_response, encode_request};
use klamm::wire::kafka::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use klamm::wire::kafka::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse;
use klamm::wire::kafka::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use klamm::wire::kafka::elect_leaders_response::ElectLeadersResponse;
use klamm::wire::{Reader, Writer};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::wait_for;

/// Sends a request to a broker, and gives the body of the answer.
fn ask(address: &str, key: ApiKey, version: i16, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a broker");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
    let mut w = Writer::new();
    w.i32(0);
    let header = RequestHeader { api_key: key, version, correlation_id: 1, client_id: None };
    encode_request(&header, &mut w).expect("a header");
    body(&mut w);
    w.set_i32(0, w.len() as i32 - 4);
    stream.write_all(&w.into_vec()).expect("it reads");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).expect("an answer");
    let mut r = Reader::new(&frame);
    decode_response(key, version, &mut r).expect("a header");
    frame.split_off(frame.len() - r.remaining())
}

/// Puts these replicas in this order, of partitions from 0 on.
pub fn reorder(address: &str, topic: &str, replicas: &[(i32, Vec<i32>)]) {
    let partition = |(index, replicas): &(i32, Vec<i32>)| ReassignablePartition {
        partition_index: *index,
        replicas: Some(replicas.clone()),
    };
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: 30_000,
        topics: vec![ReassignableTopic {
            name: topic,
            partitions: replicas.iter().map(partition).collect(),
        }],
        ..AlterPartitionReassignmentsRequest::default()
    };
    let encode = |w: &mut Writer| request.encode(w, 0).expect("it encodes");
    let body = ask(address, ApiKey::ALTER_PARTITION_REASSIGNMENTS, 0, encode);
    let answer = AlterPartitionReassignmentsResponse::decode(&mut Reader::new(&body), 0);
    let answer = answer.expect("an answer");
    assert_eq!(answer.error_code, 0);
    for it in answer.responses.iter().flat_map(|it| &it.partitions) {
        assert_eq!(it.error_code, 0, "{it:?}");
    }
}

/// Has the preferred replicas lead; how long the answer took. One whose disk was full says only after a while that it may lead
/// again: until then it is asked for anew.
pub fn elect_preferred(address: &str, topics: &[(&'static str, Vec<i32>)]) -> Duration {
    wait_for(PATIENCE, || ask_for_preferred(address, topics)).expect("brokers that may lead")
}

fn ask_for_preferred(address: &str, topics: &[(&'static str, Vec<i32>)]) -> Option<Duration> {
    let wanted = |(topic, partitions): &(&'static str, Vec<i32>)| TopicPartitions {
        topic,
        partitions: partitions.clone(),
    };
    let request = ElectLeadersRequest {
        election_type: 0,
        topic_partitions: Some(topics.iter().map(wanted).collect()),
        timeout_ms: 30_000,
    };
    let begun = Instant::now();
    let encode = |w: &mut Writer| request.encode(w, 2).expect("it encodes");
    let body = ask(address, ApiKey::ELECT_LEADERS, 2, encode);
    let took = begun.elapsed();
    let answer = ElectLeadersResponse::decode(&mut Reader::new(&body), 2).expect("an answer");
    assert_eq!(answer.error_code, 0);
    let results = || answer.replica_election_results.iter().flat_map(|it| &it.partition_result);
    if results().any(|it| it.error_code == ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE.0) {
        return None;
    }
    for it in results() {
        let codes = [0, ErrorCode::ELECTION_NOT_NEEDED.0];
        assert!(codes.contains(&it.error_code), "{it:?}");
    }
    Some(took)
}

//! Two brokers that want one address: the second is refused, whenever it starts.

use std::process::ExitStatus;
use std::time::Duration;

use conformance::raw::{Client, key};
use conformance::{Broker, DataDir, wait_for};

const PATIENCE: Duration = Duration::from_mins(1);
/// `EX_OSERR` of `sysexits.h`.
const REFUSED: Option<i32> = Some(71);

fn end_of(broker: &mut Broker) -> ExitStatus {
    wait_for(PATIENCE, || broker.exited()).expect("it neither serves nor ends")
}

fn is_served(broker: &Broker, n: usize) {
    for _ in 0..n {
        let mut client = Client::connect(broker.addr()).expect("a connection");
        client.call(key::API_VERSIONS, 0, &[]).expect("an answer");
    }
}

#[test]
fn a_second_broker_is_refused() {
    let (first_dir, second_dir) = (DataDir::new("first"), DataDir::new("second"));
    let mut first = Broker::start(&first_dir, &[]);
    let data = second_dir.path().join("data");
    let mut second = Broker::spawn(&data, second_dir.path(), first.port(), &[]);
    let ended = wait_for(PATIENCE, || {
        // Half of these would reach the second one.
        is_served(&first, 8);
        second.exited()
    });
    assert_eq!(ended.expect("it has not ended").code(), REFUSED, "{}", second.log());
    let line = format!("cannot listen on {}", first.addr());
    assert!(second.log().contains(&line), "{}", second.log());
    first.assert_alive();
    // The address is free when the first one has ended.
    let port = first.port();
    first.kill();
    Broker::start_on(&data, second_dir.path(), port, &[]).stop();
}

#[test]
fn of_two_that_start_at_once_one_serves() {
    let (a_dir, b_dir) = (DataDir::new("a"), DataDir::new("b"));
    let port = support::free_port();
    let start = |dir: &DataDir| Broker::spawn(&dir.path().join("data"), dir.path(), port, &[]);
    let (mut a, mut b) = (start(&a_dir), start(&b_dir));
    let ended = wait_for(PATIENCE, || a.exited().or_else(|| b.exited()));
    assert_eq!(ended.expect("both serve").code(), REFUSED, "{}\n{}", a.log(), b.log());
    let other = if a.exited().is_some() { &mut b } else { &mut a };
    let served = wait_for(PATIENCE, || {
        let client = Client::connect(other.addr()).ok();
        client.and_then(|mut it| it.call(key::API_VERSIONS, 0, &[]).ok())
    });
    assert!(served.is_some(), "the other one does not serve");
    other.assert_alive();
}

#[test]
fn an_admin_port_in_use_is_refused() {
    let (first_dir, second_dir) = (DataDir::new("admin-1"), DataDir::new("admin-2"));
    let admin = format!("127.0.0.1:{}", support::free_port());
    let _first = Broker::start(&first_dir, &["--admin-listen", &admin]);
    let port = support::free_port();
    let data = second_dir.path().join("data");
    let args = ["--admin-listen", &*admin];
    let mut second = Broker::spawn(&data, second_dir.path(), port, &args);
    assert_eq!(end_of(&mut second).code(), REFUSED, "{}", second.log());
    let line = format!("cannot listen on {admin} for administration");
    assert!(second.log().contains(&line), "{}", second.log());
}

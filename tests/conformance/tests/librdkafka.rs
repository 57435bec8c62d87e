use rdkafka as _;
#[test]
fn links() {}

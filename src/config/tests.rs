//! Rules of precedence, defaults and errors.

use super::*;

fn machine() -> Machine {
    Machine { cpus: vec![0, 1, 4, 5], cpu_quota: None, memory: 8 << 30 }
}

fn run(
    flags: &Flags,
    env: &[(&str, &str)],
    file: Option<&str>,
    machine: &Machine,
) -> Result<(BrokerSettings, Vec<String>), ConfigError> {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let file = file.map(|text| File { name: "klamm.toml", text });
    resolve(&Sources { flags, env: &env, file, machine })
}

fn settings(flags: &Flags, env: &[(&str, &str)], file: Option<&str>) -> BrokerSettings {
    run(flags, env, file, &machine()).expect("these settings are right").0
}

fn file_error(text: &str) -> String {
    let e = run(&Flags::default(), &[], Some(text), &machine()).expect_err("this file is wrong");
    assert_eq!(e.exit_code, 78, "{e}");
    assert!(!e.message.contains('\n'), "one line: {e}");
    e.message
}

fn flag_error(flags: &Flags) -> String {
    let e = run(flags, &[], None, &machine()).expect_err("these flags are wrong");
    assert_eq!(e.exit_code, 2, "{e}");
    assert!(!e.message.contains('\n'), "one line: {e}");
    e.message
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn defaults_need_nothing() {
    let s = settings(&Flags::default(), &[], None);
    assert_eq!(s.data, PathBuf::from("./klamm-data"));
    assert_eq!(s.listen, "127.0.0.1:9092".parse().expect("an address"));
    assert_eq!(s.advertise, ("127.0.0.1".to_owned(), 9092));
    assert_eq!((s.shards, s.cpus.as_slice()), (4, &[0, 1, 4, 5][..]));
    assert_eq!(s.memory, 4 << 30);
    assert_eq!((s.admin_listen, s.cluster_id, s.journal_bytes), (None, None, None));
    assert_eq!((s.node_id, s.strict_validation, s.log_format), (1, false, LogFormat::Text));
    assert!(s.broker.is_empty());
}

#[test]
fn flags_beat_environment_beats_file() {
    let file = "listen = '127.0.0.1:1'\nmemory = '1G'\nnode-id = 7\nlog = 'warn'\nstrict = true";
    let env = [("KLAMM_LISTEN", "127.0.0.1:2"), ("KLAMM_MEMORY", "2G"), ("RUST_LOG", "debug")];
    let flags = Flags { listen: some("127.0.0.1:3"), ..Flags::default() };
    let s = settings(&flags, &env, Some(file));
    assert_eq!(s.listen.port(), 3);
    assert_eq!(s.memory, 2 << 30);
    assert_eq!(s.node_id, 7);
    assert_eq!(s.log_filter, "debug");
    assert!(s.strict_validation);
    let s = settings(&flags, &[("KLAMM_STRICT", "false"), ("KLAMM_LOG", "error")], Some(file));
    assert!(!s.strict_validation);
    assert_eq!(s.log_filter, "error");
}

#[test]
fn broker_properties_keep_kafkas_names() {
    let file = "[broker]\nnum.partitions = 4\nauto.create.topics.enable = false\n\
                'log.retention.ms' = -1\nlog.retention.bytes = 100\ncompression.type = 'producer'\n\
                log.cleanup.policy = ['delete']";
    let flags = Flags { overrides: vec!["num.partitions=9".to_owned()], ..Flags::default() };
    let s = settings(&flags, &[], Some(file));
    let want = [
        ("auto.create.topics.enable", "false"),
        ("compression.type", "producer"),
        ("log.cleanup.policy", "delete"),
        ("log.retention.bytes", "100"),
        ("log.retention.ms", "-1"),
        ("num.partitions", "9"),
    ];
    let got: Vec<_> = s.broker.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(got, want);
    let strict = "[broker]\nklamm.batch.validation = 'strict'";
    assert!(settings(&Flags::default(), &[], Some(strict)).strict_validation);
}

#[test]
fn an_unknown_key_suggests_the_known_one() {
    assert_eq!(
        file_error("lisen = 'x'"),
        "klamm.toml: unknown key 'lisen'; did you mean 'listen'?"
    );
    assert!(file_error("admin_listen = 'x'").ends_with("did you mean 'admin-listen'?"));
    assert!(file_error("Memory = '1G'").ends_with("did you mean 'memory'?"));
    assert!(file_error("num.partitions = 3").ends_with("go under [broker]"));
    assert!(file_error("zzzzzz = 3").contains("known are data, listen"));
    assert!(file_error("broker = 3").contains("must be a table"));
    assert!(file_error("listen = 'x'\nshards =").starts_with("klamm.toml, line 2: "));
    assert!(file_error("listen = ['a']").contains("must be one value"));
}

#[test]
fn a_mistyped_variable_warns_and_a_foreign_one_does_not() {
    let env = [("KLAMM_LISTN", "x"), ("KLAMM_SERVICE_HOST", "10.0.0.1"), ("KLAMM_PORT", "tcp://x")];
    let (_, warnings) = run(&Flags::default(), &env, None, &machine()).expect("settings");
    assert_eq!(
        warnings,
        ["KLAMM_LISTN is not a setting and is ignored; did you mean KLAMM_LISTEN?"]
    );
}

#[test]
fn errors_name_the_place() {
    let f = |listen: &str| flag_error(&Flags { listen: some(listen), ..Flags::default() });
    assert!(f("9092").starts_with("--listen 9092: "), "{}", f("9092"));
    assert!(f("127.0.0.1:99999").contains("0 to 65535"));
    assert!(f("example.org:1").contains("needs an IP address"));
    assert!(f("0.0.0.0:9092").contains("--advertise HOST:PORT"));
    let e = run(&Flags::default(), &[("KLAMM_SHARDS", "0")], None, &machine()).expect_err("wrong");
    assert!(e.message.starts_with("KLAMM_SHARDS=0: "), "{e}");
    assert_eq!(e.exit_code, 78);
    assert!(file_error("memory = '1K'").contains("at least 128 MiB"));
    assert!(file_error("memory = '9G'").contains("grant 8 GiB"));
    assert!(file_error("memory = 'lots'").contains("512MiB or 4G"));
    assert!(file_error("journal = '1M'").contains("at least 32 MiB"));
    assert!(file_error("log-format = 'xml'").contains("text or json"));
    assert!(file_error("node-id = -1").contains("whole number"));
    assert!(file_error("cluster-id = 'a b'").contains("letters"));
    assert!(file_error("strict = 'maybe'").contains("true or false"));
    let o = Flags { overrides: vec!["num.partitions".to_owned()], ..Flags::default() };
    assert!(flag_error(&o).contains("PROPERTY=VALUE"));
    let a = Flags { advertise: some("0.0.0.0:9092"), ..Flags::default() };
    assert!(flag_error(&a).contains("cannot connect"));
}

#[test]
fn all_addresses_with_a_name_to_advertise() {
    let flags = Flags {
        listen: some("0.0.0.0:19092"),
        advertise: some("broker.example"),
        ..Flags::default()
    };
    assert_eq!(settings(&flags, &[], None).advertise, ("broker.example".to_owned(), 19092));
}

#[test]
fn shards_follow_quota_and_say_when_they_share() {
    let quota = Machine { cpu_quota: Some(2.0), ..machine() };
    let (s, _) = run(&Flags::default(), &[], None, &quota).expect("settings");
    assert_eq!((s.shards, s.cpus), (2, vec![0, 1]));
    let flags = Flags { shards: some("6"), ..Flags::default() };
    let (s, warnings) = run(&flags, &[], None, &machine()).expect("settings");
    assert_eq!(s.cpus, [0, 1, 4, 5, 0, 1]);
    assert!(warnings[0].contains("6 shards share 4 CPUs"));
    let small = Machine { memory: 128 << 20, ..machine() };
    let e = run(&Flags::default(), &[], None, &small).expect_err("too little");
    assert!(e.message.contains("--shards 2"), "{e}");
}

#[test]
fn sizes_and_hosts() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("64k", 64 << 10),
        ("512MiB", 512 << 20),
        ("4G", 4 << 30),
        ("1.5 GiB", 3 << 29),
        (" 1TB ", 1 << 40),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for text in ["", "G", "-1", "1x", "1.2.3G", "99999999999999999999", "99999999T"] {
        assert!(size(text).is_err(), "{text}");
    }
    assert_eq!(show_size(1536 << 20), "1.5 GiB");
    assert_eq!(show_size(12), "12 B");
    assert_eq!(size(&show_size(1536 << 20)), Ok(1536 << 20));
    assert_eq!(host_port("[::1]:80", 1), Ok(("::1".to_owned(), 80)));
    assert_eq!(host_port("::1", 1), Ok(("::1".to_owned(), 1)));
    assert_eq!(host_port("a", 1), Ok(("a".to_owned(), 1)));
    for text in ["", ":1", "[::1", "[::1]x", "a b:1", "a:x", "9092"] {
        assert!(host_port(text, 1).is_err(), "{text}");
    }
}

#[test]
fn nodes_that_are_told_the_same_make_one_cluster() {
    let voters = "1@10.0.0.1, 2@10.0.0.2:9000,3@host";
    let of = |node: &str| {
        let flags = Flags { voters: some(voters), node_id: some(node), ..Flags::default() };
        settings(&flags, &[], None)
    };
    let (one, two, three) = (of("1"), of("2"), of("3"));
    assert_eq!(one.voters[&1], ("10.0.0.1".to_owned(), 9292));
    assert_eq!(one.voters[&2], ("10.0.0.2".to_owned(), 9000));
    let peer = |s: &BrokerSettings| s.peer_listen.clone().expect("it listens");
    assert_eq!(peer(&one).at, "10.0.0.1:9292".parse().expect("an address"));
    assert_eq!(peer(&three).at, "0.0.0.0:9292".parse().expect("an address"));
    assert_eq!(peer(&three).advertise, ("host".to_owned(), 9292));
    assert!(one.cluster_id.is_some() && one.cluster_id == two.cluster_id);
    let others = Flags { voters: some("1@10.0.0.1,2@10.0.0.3:9000"), ..Flags::default() };
    assert_ne!(settings(&others, &[], None).cluster_id, one.cluster_id);
    // Kafka's name for it, and ids that are given.
    let file = "cluster-id = 'mine'\n[broker]\n'controller.quorum.voters' = '1@a:1,2@b:2'\n";
    let s = settings(&Flags { rack: some("r"), ..Flags::default() }, &[], Some(file));
    assert_eq!((s.voters.len(), s.cluster_id.as_deref()), (2, Some("mine")));
    assert_eq!(s.broker["broker.rack"], "r");
}

#[test]
fn a_node_that_is_alone_listens_for_others_on_its_own_machine() {
    let peer = |flags: &Flags, env: &[(&str, &str)]| {
        let it = settings(flags, env, None).peer_listen?;
        Some((it.at.to_string(), format!("{}:{}", it.advertise.0, it.advertise.1), it.is_default))
    };
    let at = |at: &str, told: &str, default| Some((at.to_owned(), told.to_owned(), default));
    let loopback = at("127.0.0.1:9292", "127.0.0.1:9292", true);
    assert_eq!(peer(&Flags::default(), &[]), loopback);
    let wide = Flags {
        listen: some("0.0.0.0:9092"),
        advertise: some("kafka.example.org:9092"),
        ..Flags::default()
    };
    assert_eq!(peer(&wide, &[]), loopback, "nobody has asked for a port that others reach");
    let member = |flags: &Flags| {
        let it = settings(flags, &[], None).peer_listen_of_member()?;
        Some((it.at.to_string(), format!("{}:{}", it.advertise.0, it.advertise.1), it.is_default))
    };
    // When others belong to its cluster, somebody has.
    assert_eq!(member(&wide), at("0.0.0.0:9292", "kafka.example.org:9292", true));
    assert_eq!(member(&Flags::default()), None, "it is the same");
    let known = at("0.0.0.0:9292", "kafka.example.org:9292", true);
    assert_eq!(peer(&wide, &[("KLAMM_PEER_SECRET_FILE", "/secret")]), known);
    assert_eq!(peer(&wide, &[("KLAMM_JOIN", "a,b:1")]), known);
    let chosen =
        Flags { peer_listen: some("0.0.0.0:7"), peer_advertise: some("pod-1"), ..Flags::default() };
    assert_eq!(peer(&chosen, &[]), at("0.0.0.0:7", "pod-1:7", false));
    assert_eq!(peer(&Flags { peer_listen: some("none"), ..Flags::default() }, &[]), None);
    let high = Flags { listen: some("127.0.0.1:65500"), ..Flags::default() };
    assert_eq!(peer(&high, &[]), None);
}

#[test]
fn a_node_joins_by_addresses_of_any_brokers() {
    let flags = Flags { join: some("a, b:7"), ..Flags::default() };
    let expected = [("a".to_owned(), 9292), ("b".to_owned(), 7)];
    let s = settings(&flags, &[], None);
    assert_eq!((&s.join[..], s.cluster_id.as_deref()), (&expected[..], None));
    let file = "[broker]\n'controller.quorum.bootstrap.servers' = 'a,b:7'\n";
    assert_eq!(settings(&Flags::default(), &[], Some(file)).join, expected);
    assert_eq!(settings(&Flags::default(), &[], Some("join = 'a,b:7'\n")).join, expected);
    for (flags, why) in [
        (Flags { join: some(""), ..Flags::default() }, "write each broker as HOST:PORT"),
        (Flags { join: some("a:0"), ..Flags::default() }, "a port is needed"),
        (Flags { voters: some("1@a:1"), ..flags.clone() }, "is not told them"),
        (Flags { peer_listen: some("none"), ..flags.clone() }, "need a port"),
        (Flags { peer_advertise: some("0.0.0.0"), ..flags.clone() }, "brokers cannot connect"),
        (Flags { peer_secret_file: some(""), ..flags }, "name a file"),
    ] {
        let e = flag_error(&flags);
        assert!(e.contains(why), "{e}");
    }
}

#[test]
fn voters_that_make_no_cluster_are_refused() {
    for (voters, why) in [
        ("2@a:1,3@b:1", "this node, 1, is not among them"),
        ("1@a:1,1@b:1", "node 1 is there twice"),
        ("1@a:1,2@a:1", "two nodes have this address"),
        ("1@a:0", "need to know the port"),
        ("a:1", "write each node as ID@HOST:PORT"),
        ("-1@a:1", "write each node as ID@HOST:PORT"),
        ("", "write each node as ID@HOST:PORT"),
    ] {
        let e = flag_error(&Flags { voters: some(voters), ..Flags::default() });
        assert!(e.contains(why), "{e}");
    }
}

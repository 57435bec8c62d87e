//! A network of three namespaces on a bridge, whose links can be cut. Needs root and `ip`.

use std::process::Command;

/// Removed when it is dropped.
pub struct Network {
    /// Begins the names of everything.
    name: String,
    /// The third number of its addresses.
    subnet: u8,
}

fn ip(args: &str) -> bool {
    let ran = Command::new("ip").args(args.split_whitespace()).output();
    let ran = ran.expect("the program ip");
    if !ran.status.success() {
        eprintln!("ip {args}: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    ran.status.success()
}

impl Network {
    /// Makes one; `None` where that is not allowed.
    pub fn make() -> Option<Self> {
        let id = std::process::id() % 10_000;
        let this = Self { name: format!("kf{id}"), subnet: (id % 250) as u8 };
        let (name, subnet) = (&this.name, this.subnet);
        let mut made = ip(&format!("link add {name}b type bridge"))
            && ip(&format!("addr add 10.97.{subnet}.254/24 dev {name}b"))
            && ip(&format!("link set {name}b up"));
        for node in 0..3 {
            let (namespace, host) = (this.namespace(node), this.link(node));
            made = made
                && ip(&format!("netns add {namespace}"))
                && ip(&format!("link add {host} type veth peer name eth0 netns {namespace}"))
                && ip(&format!("link set {host} master {name}b"))
                && ip(&format!("link set {host} up"))
                && ip(&format!("-n {namespace} addr add {}/24 dev eth0", this.address(node)))
                && ip(&format!("-n {namespace} link set eth0 up"))
                && ip(&format!("-n {namespace} link set lo up"));
        }
        made.then_some(this)
    }

    /// A node's namespace.
    pub fn namespace(&self, node: usize) -> String {
        format!("{}n{node}", self.name)
    }

    fn link(&self, node: usize) -> String {
        format!("{}v{node}", self.name)
    }

    /// A node's address.
    pub fn address(&self, node: usize) -> String {
        format!("10.97.{}.{}", self.subnet, node + 1)
    }

    /// What a node sends to another is lost from now on, or not any more.
    pub fn cut(&self, from: usize, to: usize, cut: bool) {
        let (namespace, to) = (self.namespace(from), self.address(to));
        let verb = if cut { "add" } else { "del" };
        assert!(ip(&format!("-n {namespace} route {verb} blackhole {to}/32")));
    }

    /// A node's link goes down, or comes up.
    pub fn set_link(&self, node: usize, up: bool) {
        let state = if up { "up" } else { "down" };
        assert!(ip(&format!("link set {} {state}", self.link(node))));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in 0..3 {
            ip(&format!("netns del {}", self.namespace(node)));
        }
        ip(&format!("link del {}b", self.name));
    }
}

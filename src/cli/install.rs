//! `klamm install-tools`: Kafka's tools as links to this program.

use super::{CliError, kafka};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
DIR gets the layout of a Kafka distribution, so that what tutorials write works below it:
  DIR/bin/kafka-topics, DIR/bin/kafka-topics.sh, …       links to this program
  DIR/config/server.properties                           settings; data goes to DIR/data
  DIR/config/zookeeper.properties                        read by nobody, named by many
Files that exist already stay as they are, links to Klamm are renewed.

Examples:
  klamm install-tools kafka && cd kafka && bin/kafka-server-start.sh config/server.properties
  klamm install-tools --only-links ~/.local/bin          kafka-topics and the others on the PATH";

/// Flags of `klamm install-tools`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Install {
    /// Directory; created if it does not exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Put the links into DIR itself, and nothing else
    #[arg(long)]
    only_links: bool,
    /// Replace files of the tools' names that are not Klamm's
    #[arg(long)]
    force: bool,
}

/// Makes the links and the files.
pub fn run(install: &Install) -> Result<(), CliError> {
    let program = std::env::current_exe()
        .map_err(|e| CliError::Io(format!("the path of this program: {e}")))?;
    let directory = std::path::absolute(&install.directory).map_err(failed(&install.directory))?;
    let bin = if install.only_links { directory.clone() } else { directory.join("bin") };
    fs::create_dir_all(&bin).map_err(failed(&bin))?;
    let mut foreign = Vec::new();
    let mut links = 0;
    for name in names() {
        let path = bin.join(name);
        if link(&program, &path, install.force).map_err(failed(&path))? {
            links += 1;
        } else {
            foreign.push(path.display().to_string());
        }
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{links} links to {} in {}", program.display(), bin.display())?;
    if !install.only_links {
        let config = directory.join("config");
        fs::create_dir_all(&config).map_err(failed(&config))?;
        let data = directory.join("data");
        let files = [
            ("server.properties", server_properties(&data)),
            ("zookeeper.properties", ZOOKEEPER.to_owned()),
        ];
        for (name, text) in files {
            let path = config.join(name);
            let made = write_new(&path, &text).map_err(failed(&path))?;
            let shown = path.display();
            writeln!(out, "{shown}{}", if made { "" } else { " is there already, and stays" })?;
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "not Klamm's, so left alone: {}; --force replaces them",
        foreign.join(", ")
    )))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> CliError {
    let name = path.display().to_string();
    move |e| CliError::Io(format!("{name}: {e}"))
}

/// Each tool's name, without and with `.sh`.
fn names() -> impl Iterator<Item = String> {
    kafka::TOOLS.iter().flat_map(|tool| [tool.name.to_owned(), format!("{}.sh", tool.name)])
}

/// Makes a link; false where something else is in its place and stays.
fn link(program: &Path, path: &Path, force: bool) -> io::Result<bool> {
    if let Ok(target) = fs::read_link(path)
        && target == program
    {
        return Ok(true);
    }
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(e),
        Ok(_) => {
            // A link to another copy of the program, there or gone, is ours as well.
            let ours = fs::read_link(path).is_ok_and(|to| to.file_name() == program.file_name());
            if !ours && !force {
                return Ok(false);
            }
            fs::remove_file(path)?;
        }
    }
    symlink(program, path)?;
    Ok(true)
}

/// Writes a file unless there is one; says whether it did.
fn write_new(path: &Path, text: &str) -> io::Result<bool> {
    match fs::File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

/// A property file for a broker on this machine, for clients on this machine.
fn server_properties(data: &Path) -> String {
    // Backslashes are the only characters of a path that Java's property files read otherwise.
    let data = data.display().to_string().replace('\\', "\\\\");
    format!(
        "\
# Settings of the broker that bin/kafka-server-start.sh config/server.properties runs. The names
# are those of Apache Kafka; what a name stands for is in Kafka's documentation. The broker says at
# its start which properties have no effect.

# The number of this broker.
node.id=1

# Where it listens. For clients on other machines: listeners=PLAINTEXT://0.0.0.0:9092, and the name
# under which they reach this machine in advertised.listeners.
listeners=PLAINTEXT://localhost:9092
advertised.listeners=PLAINTEXT://localhost:9092

# Where it keeps its data: one directory.
log.dirs={data}

# Topics that do not say otherwise.
num.partitions=1
log.retention.hours=168
log.segment.bytes=1073741824

# What Kafka has no name for: the settings of 'klamm serve --help', such as
#klamm.shards=2
#klamm.memory=1GiB
"
    )
}

const ZOOKEEPER: &str = "\
# There is no ZooKeeper: nothing reads this file. It is here because tutorials run
#   bin/zookeeper-server-start.sh config/zookeeper.properties
# which says so, and succeeds.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_once_and_spare_what_is_foreign() {
        let dir = std::env::temp_dir().join(format!("klamm-install-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory");
        let (program, path) = (Path::new("/x/klamm"), dir.join("kafka-topics"));
        assert!(link(program, &path, false).expect("links"));
        assert!(link(program, &path, false).expect("is there"));
        let moved = Path::new("/y/klamm");
        assert!(link(moved, &path, false).expect("renews"));
        assert_eq!(fs::read_link(&path).expect("a link"), moved);
        fs::remove_file(&path).expect("a link");
        fs::write(&path, "#!/bin/sh\n").expect("a file");
        assert!(!link(program, &path, false).expect("spares"));
        assert_eq!(fs::read(&path).expect("a file"), b"#!/bin/sh\n");
        assert!(link(program, &path, true).expect("replaces"));
        fs::remove_dir_all(&dir).expect("a directory");
    }
}

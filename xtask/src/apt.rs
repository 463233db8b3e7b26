//! Downloads packages of any Debian suite with apt, whatever suite the machine runs, without root and without touching
//! the machine's own package lists.
//!
//! apt is pointed at folders of its own and at a copy of the machine's own source entry for the Debian archive with the
//! suite replaced: so the mirror, proxies and keys are those that the machine is set up with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

const INSTALL_APT: &str = "apt-get install apt dpkg";

/// Suites of Debian's main archive; those with a suffix (`-security`, `-updates`) live elsewhere or hold no whole suite.
const SUITES: [&str; 11] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "unstable",
    "testing",
    "stable",
    "oldstable",
    "oldoldstable",
];

/// Unpacks `packages` of `suite` below `work` and returns the root of their files.
pub(crate) fn unpack(packages: &[&str], suite: &str, work: &Path) -> Result<PathBuf, String> {
    let apt = PrivateApt::new(suite, &work.join("apt"))?;
    apt.run(&["update"])?;
    apt.run(&[&["download"], packages].concat())?;

    let root = work.join("root");
    for package in apt.downloaded()? {
        let mut unpack = Command::new("dpkg");
        unpack.arg("-x").arg(&package).arg(&root);
        run::output(&mut unpack, INSTALL_APT)?;
    }
    Ok(root)
}

/// An apt with its own state, cache and sources.
struct PrivateApt {
    config: PathBuf,
    downloads: PathBuf,
}

impl PrivateApt {
    fn new(suite: &str, folder: &Path) -> Result<Self, String> {
        let sources = machine_sources(Path::new("/etc/apt"), suite)?;
        let (config, downloads) = (folder.join("apt.conf"), folder.join("downloads"));
        let create = || -> std::io::Result<()> {
            for each in [
                "state/lists/partial",
                "cache/archives/partial",
                "sources",
                "empty",
                "downloads",
            ] {
                fs::create_dir_all(folder.join(each))?;
            }
            // Nothing is installed in this world.
            fs::write(folder.join("status"), "")?;
            for (name, text) in &sources {
                fs::write(folder.join("sources").join(name), text)?;
            }
            fs::write(&config, configuration(folder))
        };
        create().map_err(|e| format!("cannot write below {}: {e}", folder.display()))?;
        Ok(Self { config, downloads })
    }

    fn run(&self, args: &[&str]) -> Result<(), String> {
        let mut command = Command::new("apt-get");
        command
            .arg("-q")
            .arg("-c")
            .arg(&self.config)
            .args(args)
            .current_dir(&self.downloads);
        run::output(&mut command, INSTALL_APT).map(drop)
    }

    fn downloaded(&self) -> Result<Vec<PathBuf>, String> {
        let entries =
            fs::read_dir(&self.downloads).map_err(|e| format!("{}: {e}", self.downloads.display()))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .collect())
    }
}

/// Read after the machine's own configuration, which keeps its proxies and credentials.
fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{folder}/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "{folder}/empty";
// A switch to the user _apt needs root, and could not read these folders.
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
// The machine's hooks and default suite are about the machine's own packages.
#clear APT::Update;
#clear APT::Default-Release;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
"#
    )
}

/// The machine's entries for Debian's archive, as files for a source folder, with `suite` in place of their own.
fn machine_sources(etc: &Path, suite: &str) -> Result<Vec<(String, String)>, String> {
    let mut files = vec![etc.join("sources.list")];
    let parts = fs::read_dir(etc.join("sources.list.d")).into_iter().flatten();
    files.extend(parts.filter_map(|entry| Some(entry.ok()?.path())));
    files.sort();
    let mut lines = Vec::new();
    let mut stanzas = Vec::new();
    for file in &files {
        let Ok(text) = fs::read_to_string(file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => lines.extend(text.lines().filter_map(|line| one_line_entry(line, suite))),
            Some("sources") => {
                stanzas.extend(split_stanzas(&text).filter_map(|each| stanza_entry(each, suite)));
            }
            _ => {}
        }
    }
    lines.dedup();
    stanzas.dedup();
    if lines.is_empty() && stanzas.is_empty() {
        return Err(
            "this machine's apt knows no Debian archive: no entry in /etc/apt/sources.list.d names one"
                .into(),
        );
    }
    Ok(vec![
        ("debian.list".into(), lines.join("\n") + "\n"),
        ("debian.sources".into(), stanzas.join("\n")),
    ])
}

/// `deb [options] URI suite component...` for another suite; `None` if it is no entry for Debian's archive.
fn one_line_entry(line: &str, suite: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .map(|(options, rest)| (format!("[{options}] "), rest))?,
        None => (String::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, own_suite) = (words.next()?, words.next()?);
    let is_debian =
        is_archive(uri) && SUITES.contains(&own_suite) && words.any(|component| component == "main");
    is_debian.then(|| format!("deb {options}{uri} {suite} main"))
}

/// A deb822 stanza for another suite; `None` if it is none for Debian's archive.
fn stanza_entry(stanza: &str, suite: &str) -> Option<String> {
    let values = |name: &str| {
        let value = stanza.lines().find_map(|line| field(line, name));
        value.unwrap_or_default().split_whitespace()
    };
    let is_debian = values("Types").any(|each| each == "deb")
        && values("URIs").any(is_archive)
        && values("Suites").any(|each| SUITES.contains(&each))
        && values("Components").any(|each| each == "main")
        && !values("Enabled").any(|each| each.eq_ignore_ascii_case("no"));
    if !is_debian {
        return None;
    }
    let mut replaced = String::new();
    for line in stanza.lines().filter(|line| !line.starts_with('#')) {
        let new = [("Types", "deb"), ("Suites", suite), ("Components", "main")];
        match new.iter().find(|(name, _)| field(line, name).is_some()) {
            Some((name, value)) => replaced += &format!("{name}: {value}\n"),
            None => replaced += &format!("{line}\n"),
        }
    }
    Some(replaced)
}

fn split_stanzas(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
        .map(|stanza| stanza.trim_matches('\n'))
        .filter(|stanza| !stanza.is_empty())
}

/// The value of a field if `line` is that field; names do not differ by case.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (own_name, value) = line.split_once(':')?;
    own_name.eq_ignore_ascii_case(name).then_some(value.trim())
}

/// Whether a URI is that of Debian's main archive: mirrors keep its folder name, and cloud images point to a list of
/// mirrors named after it.
fn is_archive(uri: &str) -> bool {
    let last = uri.trim_end_matches('/').rsplit('/').next();
    matches!(last, Some("debian" | "debian.list"))
}

#[cfg(test)]
mod tests {
    use super::{one_line_entry, split_stanzas, stanza_entry};

    #[test]
    fn an_entry_for_the_archive_gets_the_other_suite() {
        assert_eq!(
            one_line_entry("deb http://mirror.example/debian/ bookworm main contrib", "sid").as_deref(),
            Some("deb http://mirror.example/debian/ sid main")
        );
        assert_eq!(
            one_line_entry(
                "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian stable main",
                "sid"
            )
            .as_deref(),
            Some("deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian sid main")
        );
    }

    #[test]
    fn other_entries_are_left_out() {
        for line in [
            "# deb http://mirror.example/debian bookworm main",
            "deb-src http://mirror.example/debian bookworm main",
            "deb http://mirror.example/debian bookworm-updates main",
            "deb http://mirror.example/debian-security bookworm-security main",
            "deb http://vendor.example/linux/debian bookworm stable",
            "deb http://vendor.example/browser/deb stable main",
            "deb",
        ] {
            assert_eq!(one_line_entry(line, "sid"), None, "{line}");
        }
    }

    #[test]
    fn a_stanza_for_the_archive_gets_the_other_suite_and_keeps_its_key() {
        let text = "\
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
";
        let entries: Vec<String> = split_stanzas(text)
            .filter_map(|each| stanza_entry(each, "sid"))
            .collect();
        let expected = "\
Types: deb
URIs: http://mirror.example/debian
Suites: sid
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
";
        assert_eq!(entries, [expected]);
    }

    #[test]
    fn a_disabled_stanza_is_left_out() {
        let stanza =
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: sid\nComponents: main\nEnabled: no";
        assert_eq!(stanza_entry(stanza, "sid"), None);
    }
}

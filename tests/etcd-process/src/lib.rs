//! Real etcd servers for tests: started on free ports of 127.0.0.1, frozen, killed, restarted, and gone with the test.
//!
//! ```no_run
//! use etcd_process::{Dialect, Server};
//!
//! let mut server = Server::start(Dialect::G2);
//! let put = server.etcdctl(["put", "key", "value"]);
//! assert!(put.status.success());
//! server.freeze(); // SIGSTOP: connections stay open and nothing answers
//! server.thaw();
//! server.kill(); // SIGKILL
//! server.restart(); // on the same ports, with the same data
//! println!("{}", server.client_url());
//! ```
//!
//! Everything blocks and needs no async runtime. Everything panics when it fails, with the reason and the end of the
//! server's log: a test without its server is a failed test, never a skipped one. The binaries come from
//! `cargo xtask etcd` (see [`binaries`]).
//!
//! **No server outlives its test process**, not even one that is SIGKILLed: beside each server, a watchdog waits for the
//! end of a pipe that only the test process holds open, then kills the server and removes its data.
//!
//! Three kinds of servers: [`Server`] for a test that disturbs it or needs settings of its own, [`shared()`] for the many
//! that only need *a* server, [`Cluster`] for members that elect a leader. Clients that are processes as well are stopped with [`freeze`].

pub mod binaries;
mod builder;
mod cluster;
mod data;
mod dialect;
mod freezing;
mod http;
mod metrics;
mod ports;
mod process;
mod server;
mod shared;
mod start;

pub use builder::ServerBuilder;
pub use cluster::{Cluster, ClusterBuilder};
pub use dialect::Dialect;
pub use freezing::{freeze, thaw};
pub use ports::ReservedPort;
pub use server::{Server, forbid};
pub use shared::shared;

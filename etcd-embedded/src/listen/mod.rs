//! A server for other programs: the gateway over HTTP/1.1, for curl, Python, or anyone's client.
//!
//! [`HttpServer`] runs in a thread of its own and needs no runtime of its caller's; a test binds it to port 0 and hands
//! its URL to the client it is about. `cargo run -p etcd-embedded -- --listen 127.0.0.1:2379` is the same as a program.
//!
//! Both directions of an exchange are alive at once if the request says `Connection: close`; otherwise the answer is
//! held back until the request is complete. So it is with real servers, whose HTTP comes from Go's standard library.
//! A client that goes away ends what it had begun: its watches are dropped, its place in the line for a lock is given
//! up.
//!
//! It is a development and test server: no TLS, no disk, one member.

mod connection;
mod exchange;
mod server;
mod thread;

pub use server::HttpServer;

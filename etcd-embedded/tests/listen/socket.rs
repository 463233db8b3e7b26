//! HTTP by hand, so that a test sees every byte.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use etcd_embedded::listen::HttpServer;
use etcd_embedded::{Config, Dialect};

/// What has not happened by then does not happen.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn server(dialect: Dialect) -> HttpServer {
    HttpServer::start("127.0.0.1:0", Config::new().dialect(dialect)).unwrap()
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The number of watches on the server.
pub(crate) fn watches(server: &HttpServer) -> usize {
    server.transport().inspect(etcd_embedded::Server::watch_count)
}

/// A connection.
pub(crate) struct Socket {
    stream: TcpStream,
    received: String,
}

impl Socket {
    pub(crate) fn connect(server: &HttpServer) -> Self {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            stream,
            received: String::new(),
        }
    }

    /// Sends a complete request.
    pub(crate) fn post(&mut self, path: &str, body: &str) {
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }

    /// Begins a request whose body is sent in chunks.
    pub(crate) fn begin(&mut self, path: &str, header: &str) {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: etcd\r\nTransfer-Encoding: chunked\r\n{header}\r\n\r\n"
        ));
    }

    pub(crate) fn chunk(&mut self, data: &str) {
        self.send(&format!("{:x}\r\n{data}\r\n", data.len()));
    }

    pub(crate) fn end(&mut self) {
        self.send("0\r\n\r\n");
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until `end` has come, and returns all up to there.
    pub(crate) fn read_to(&mut self, end: &str) -> String {
        loop {
            if let Some(position) = self.received.find(end) {
                let rest = self.received.split_off(position + end.len());
                return std::mem::replace(&mut self.received, rest);
            }
            let mut buffer = [0; 4096];
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(
                length > 0,
                "the connection ended before {end:?}: {:?}",
                self.received
            );
            self.received += std::str::from_utf8(&buffer[..length]).unwrap();
        }
    }

    /// The head of a response.
    pub(crate) fn head(&mut self) -> String {
        self.read_to("\r\n\r\n")
    }

    /// The body of a response that says its length.
    pub(crate) fn body(&mut self, head: &str) -> String {
        let (_, length) = head.split_once("Content-Length: ").unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        while self.received.len() < length {
            let mut buffer = [0; 4096];
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0);
            self.received += std::str::from_utf8(&buffer[..read]).unwrap();
        }
        let rest = self.received.split_off(length);
        std::mem::replace(&mut self.received, rest)
    }

    /// One message of a stream, without its chunk's length.
    pub(crate) fn line(&mut self) -> String {
        let line = self.read_to("\n\r\n");
        let (_, line) = line.split_once("\r\n").unwrap();
        line.trim_end().to_owned()
    }

    /// All that comes until the connection ends.
    pub(crate) fn rest(mut self) -> String {
        match self.stream.read_to_string(&mut self.received) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}, after {:?}", self.received),
        }
        self.received
    }

    /// Whether nothing has come.
    pub(crate) fn is_silent(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.received.is_empty() && matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

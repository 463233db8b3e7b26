//! As little HTTP/1.1 as it takes to talk to a server on the loopback interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    pub fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.reader.get_mut().write_all(request.as_bytes()).unwrap();
        assert!(
            !self.reader.fill_buf().unwrap().is_empty(),
            "the server went away at {path} {body}"
        );
        let (status, length) = self.head();
        let body = match length {
            Some(length) => {
                let mut body = vec![0; length];
                self.reader.read_exact(&mut body).unwrap();
                body
            }
            None => std::iter::from_fn(|| self.chunk()).flatten().collect(),
        };
        if length.is_none() {
            // Trailers, and the empty line after them.
            while !self.line().is_empty() {}
        }
        (status, String::from_utf8(body).unwrap())
    }

    /// The status, and the length unless the body is chunked.
    fn head(&mut self) -> (u16, Option<usize>) {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = None;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                return (status, length);
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse().unwrap());
            }
        }
    }

    fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        if line.is_empty() {
            // The server has gone.
            return None;
        }
        let length = usize::from_str_radix(&line, 16).unwrap();
        if length == 0 {
            return None;
        }
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk).unwrap();
        chunk.truncate(length);
        Some(chunk)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// A watch whose request body stays open, read by a thread of its own: a server gives up on a watch that nobody reads
/// once its history is compacted.
pub struct WatchStream {
    chunks: Receiver<Vec<u8>>,
}

impl WatchStream {
    /// Opens it, and waits until the server has begun to watch.
    pub fn open(address: SocketAddr, create: &str) -> Self {
        let mut connection = Connection::open(address);
        let request = format!(
            "POST /v3/watch HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{create}\r\n",
            create.len()
        );
        connection.reader.get_mut().write_all(request.as_bytes()).unwrap();
        let (status, _) = connection.head();
        assert_eq!(status, 200);
        assert!(
            String::from_utf8(connection.chunk().unwrap())
                .unwrap()
                .contains("created")
        );
        // Between two events as much time may pass as the rest of the comparison takes.
        connection.reader.get_mut().set_read_timeout(None).unwrap();
        let (sender, chunks) = channel();
        std::thread::spawn(move || {
            while let Some(chunk) = connection.chunk()
                && sender.send(chunk).is_ok()
            {}
        });
        Self { chunks }
    }

    /// All events up to the one of `key`.
    pub fn events_until(&mut self, key: &str) -> Vec<Value> {
        let (mut all, mut body) = (Vec::new(), Vec::new());
        loop {
            let chunk = self.chunks.recv_timeout(PATIENCE);
            body.extend(chunk.unwrap_or_else(|_| panic!("after {} events none came any more", all.len())));
            if body.ends_with(b"\n") {
                all.extend(super::events(&std::mem::take(&mut body)));
                if all.last().is_some_and(|event| event["kv"]["key"] == key) {
                    return all;
                }
            }
        }
    }
}

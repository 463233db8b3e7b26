//! As little HTTP/1.1 as it takes to talk to a server on the loopback interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::pair::{Answer, Ask};

/// How long an answer may take; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection for one request after the other, opened anew when the server has closed it.
pub struct Connection {
    address: SocketAddr,
    reader: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            reader: None,
        }
    }

    /// The socket that the next request goes out on.
    pub fn stream(&mut self) -> TcpStream {
        let reader = self.reader.get_or_insert_with(|| open(self.address));
        reader.get_ref().try_clone().unwrap()
    }

    pub fn ask(&mut self, ask: &Ask) -> Answer {
        let answer = self.try_ask(ask);
        answer.unwrap_or_else(|| panic!("the server went away at {ask}"))
    }

    /// `None` if the connection ends without an answer.
    pub fn try_ask(&mut self, ask: &Ask) -> Option<Answer> {
        let reader = self.reader.get_or_insert_with(|| open(self.address));
        let length = format!("Content-Length: {}\r\n", ask.body.len());
        send_head(reader, ask, &length);
        reader.get_mut().write_all(&ask.body).unwrap();
        if !reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
            return None;
        }
        let head = Head::read(reader);
        let body = if ask.method == "HEAD" {
            Vec::new()
        } else {
            head.body(reader)
        };
        if head.closes {
            self.reader = None;
        }
        Some(Answer {
            status: head.status,
            content_type: head.content_type,
            body: String::from_utf8(body).unwrap(),
        })
    }
}

/// What arrives on a stream of the server.
pub enum Arrival {
    Head(u16),
    Data(Vec<u8>),
    End,
}

/// A call whose request body stays open, read by a thread of its own: a server gives up on a watch that nobody reads once
/// its history is compacted.
pub struct OpenCall {
    writer: TcpStream,
    pub arrivals: Receiver<Arrival>,
}

impl OpenCall {
    /// Begins it with its first message, without which a server sends no head.
    pub fn begin(address: SocketAddr, ask: &Ask) -> Self {
        let mut reader = open(address);
        // Between two messages as much time may pass as the rest of the comparison takes.
        reader.get_mut().set_read_timeout(None).unwrap();
        send_head(
            &mut reader,
            ask,
            "Connection: close\r\nTransfer-Encoding: chunked\r\n",
        );
        let writer = reader.get_ref().try_clone().unwrap();
        let (sender, arrivals) = channel();
        std::thread::spawn(move || {
            if reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                let head = Head::read(&mut reader);
                let _ = sender.send(Arrival::Head(head.status));
                match head.length {
                    Length::Chunked => {
                        while let Some(chunk) = chunk(&mut reader)
                            && sender.send(Arrival::Data(chunk)).is_ok()
                        {}
                    }
                    _ => drop(sender.send(Arrival::Data(head.body(&mut reader)))),
                }
            }
            let _ = sender.send(Arrival::End);
        });
        let mut call = Self { writer, arrivals };
        call.say(&ask.body);
        call
    }

    pub fn say(&mut self, message: &[u8]) {
        let mut chunk = format!("{:x}\r\n", message.len()).into_bytes();
        chunk.extend_from_slice(message);
        chunk.extend_from_slice(b"\r\n");
        // A server that has ended the call takes nothing any more; what it said before tells.
        let _ = self.writer.write_all(&chunk);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let _ = self.writer.shutdown(std::net::Shutdown::Both);
    }
}

fn open(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

fn send_head(reader: &mut BufReader<TcpStream>, ask: &Ask, more: &str) {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: localhost\r\n{more}",
        ask.method, ask.path
    );
    for (name, value) in &ask.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    reader.get_mut().write_all(head.as_bytes()).unwrap();
}

enum Length {
    Known(usize),
    Chunked,
    UntilEnd,
}

struct Head {
    status: u16,
    content_type: String,
    length: Length,
    closes: bool,
}

impl Head {
    fn read(reader: &mut BufReader<TcpStream>) -> Self {
        let mut head = Self {
            status: line(reader).split(' ').nth(1).unwrap().parse().unwrap(),
            content_type: String::new(),
            length: Length::UntilEnd,
            closes: false,
        };
        loop {
            let line = line(reader);
            if line.is_empty() {
                return head;
            }
            let (name, value) = line.split_once(": ").unwrap();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = Length::Known(value.parse().unwrap()),
                "transfer-encoding" => head.length = Length::Chunked,
                "content-type" => head.content_type = value.to_owned(),
                "connection" => head.closes = value == "close",
                _ => {}
            }
        }
    }

    fn body(&self, reader: &mut BufReader<TcpStream>) -> Vec<u8> {
        let mut body = Vec::new();
        match self.length {
            _ if self.status == 204 => {}
            Length::Known(length) => {
                body.resize(length, 0);
                reader.read_exact(&mut body).unwrap();
            }
            Length::Chunked => {
                while let Some(chunk) = chunk(reader) {
                    body.extend(chunk);
                }
                // Trailers, and the empty line after them.
                while !line(reader).is_empty() {}
            }
            Length::UntilEnd => {
                let _ = reader.read_to_end(&mut body);
            }
        }
        body
    }
}

fn chunk(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let length = usize::from_str_radix(&line(reader), 16).ok()?;
    if length == 0 {
        return None;
    }
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    Some(chunk)
}

/// The next line, empty at the end.
fn line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let _ = reader.read_line(&mut line);
    line.trim_end().to_owned()
}

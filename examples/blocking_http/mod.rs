//! One HTTP/1.1 exchange over a blocking socket, by hand: what two of the examples have instead of an engine.
//!
//! A connection carries one exchange and is closed. It is complete as far as an etcd gateway goes: bodies with a length,
//! in chunks with trailers, or up to the end of the connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};

/// The longest line that is taken: a status, a header, the size of a chunk. Go's servers send a few hundred bytes.
const MAX_LINE: u64 = 64 * 1024;
/// The most headers, or trailers, that are taken.
const MAX_HEADERS: usize = 100;
/// The most bytes a piece of a body has.
const PIECE: usize = 64 * 1024;

/// Sends `request` over `stream`, and returns the head of its response with the body to be read from it.
pub(crate) fn exchange(mut stream: TcpStream, request: Request<Bytes>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let host = head
        .uri
        .authority()
        .ok_or_else(|| invalid("a URI without a host"))?;
    let mut message = Vec::new();
    write!(
        message,
        "{} {} HTTP/1.1\r\nhost: {host}\r\n",
        head.method,
        head.uri.path()
    )?;
    // What HTTP itself asks for: where the body ends, and that there will be no second request.
    write!(message, "content-length: {}\r\n", body.len())?;
    if !head.headers.contains_key("connection") {
        message.extend_from_slice(b"connection: close\r\n");
    }
    for (name, value) in &head.headers {
        write!(message, "{name}: ")?;
        message.extend_from_slice(value.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&body);
    stream.write_all(&message)?;

    let mut reader = BufReader::new(stream);
    loop {
        let status = read_status(&mut reader)?;
        let headers = read_headers(&mut reader)?;
        // Interim responses come before the one that counts.
        if !status.is_informational() {
            let body = Body::new(reader, &headers)?;
            let mut response = Response::new(body);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            return Ok(response);
        }
    }
}

/// A response body that has not been read yet. Dropping it closes the connection.
pub(crate) struct Body {
    reader: BufReader<TcpStream>,
    state: State,
}

/// What comes next on the connection.
enum State {
    /// This much of the body, and then its end.
    Length(u64),
    /// The size of a chunk.
    ChunkSize,
    /// This much of a chunk, and then the line's end after it.
    Chunk(u64),
    /// The body, up to the end of the connection.
    UntilClose,
    /// Nothing.
    Done,
}

impl Body {
    fn new(reader: BufReader<TcpStream>, headers: &HeaderMap) -> io::Result<Self> {
        // A body in chunks ends with the chunks, whatever length is given as well (RFC 9112, section 6.3).
        let state = if let Some(coding) = headers.get(TRANSFER_ENCODING) {
            if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                return Err(invalid("an unknown transfer coding"));
            }
            State::ChunkSize
        } else if let Some(length) = headers.get(CONTENT_LENGTH) {
            let length = length.to_str().ok().and_then(|length| length.parse().ok());
            State::Length(length.ok_or_else(|| invalid("not a content length"))?)
        } else {
            State::UntilClose
        };
        Ok(Self { reader, state })
    }

    /// The next piece, cut wherever the network cut it; `None` at the end. A body cut short is an error, not an end.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.state {
                State::Length(0) => self.state = State::Done,
                State::Length(left) => {
                    let piece = self.read(left)?;
                    self.state = State::Length(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                State::ChunkSize => {
                    let line = read_line(&mut self.reader)?;
                    // What follows a semicolon are extensions that nobody uses.
                    let size = line.split(';').next().unwrap_or_default().trim();
                    let size =
                        u64::from_str_radix(size, 16).map_err(|_| invalid("not the size of a chunk"))?;
                    if size > 0 {
                        self.state = State::Chunk(size);
                    } else {
                        read_headers(&mut self.reader)?; // the trailers
                        self.state = State::Done;
                    }
                }
                State::Chunk(0) => {
                    if !read_line(&mut self.reader)?.is_empty() {
                        return Err(invalid("a chunk longer than its size"));
                    }
                    self.state = State::ChunkSize;
                }
                State::Chunk(left) => {
                    let piece = self.read(left)?;
                    self.state = State::Chunk(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
                State::UntilClose => {
                    let piece = self.read_some(PIECE)?;
                    if !piece.is_empty() {
                        return Ok(Some(piece));
                    }
                    self.state = State::Done;
                }
                State::Done => return Ok(None),
            }
        }
    }

    /// Some of the `left` bytes that have to follow.
    fn read(&mut self, left: u64) -> io::Result<Bytes> {
        let piece = self.read_some(usize::try_from(left).unwrap_or(PIECE).min(PIECE))?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(piece)
    }

    fn read_some(&mut self, limit: usize) -> io::Result<Bytes> {
        let mut piece = vec![0; limit];
        let read = self.reader.read(&mut piece)?;
        piece.truncate(read);
        Ok(piece.into())
    }
}

fn read_status(reader: &mut impl BufRead) -> io::Result<StatusCode> {
    let line = read_line(reader)?;
    let mut words = line.split(' ');
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(invalid("not HTTP/1"));
    }
    let code = words.next().unwrap_or_default();
    StatusCode::from_bytes(code.as_bytes()).map_err(|_| invalid("not a status"))
}

fn read_headers(reader: &mut impl BufRead) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for _ in 0..=MAX_HEADERS {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("not a header"))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("not a header's name"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| invalid("not a header's value"))?;
        headers.append(name, value);
    }
    Err(invalid("too many headers"))
}

/// The next line, without its end.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(MAX_LINE).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

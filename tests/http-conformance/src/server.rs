//! A server that does exactly what a test tells it to, byte by byte, on a thread with blocking sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use etcd_core::transport::{LongLived, RequestBody};
use futures_channel::oneshot;
use http::{Request, Uri};
use socket2::SockRef;

const TOO_EARLY: &str = "the client closed the connection too early";

/// A step that has not happened by then will not: fail the test rather than hang it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running script.
pub struct Server {
    address: SocketAddr,
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl Server {
    /// Listens, and runs `script` on a thread.
    pub fn run(script: impl FnOnce(Listener) + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// Runs `script` on `listener`.
    pub fn on(listener: TcpListener, script: impl FnOnce(Listener) + Send + 'static) -> Self {
        // On Linux this bounds how long `accept` waits.
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE)).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            let _end = end;
            script(Listener(listener));
        });
        Self {
            address,
            thread,
            ended,
        }
    }

    /// The URI of `path` on this server.
    pub fn uri(&self, path: &str) -> Uri {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// A POST with a whole body.
    pub fn post(&self, body: &'static str) -> Request<RequestBody> {
        Request::post(self.uri("/")).body(body.into()).unwrap()
    }

    /// The same, marked as one that may take for ever.
    pub fn long_lived_post(&self, body: &'static str) -> Request<RequestBody> {
        let mut request = self.post(body);
        request.extensions_mut().insert(LongLived);
        request
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The value of a `Host` header for this server.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the script has run to its end, and fails if it failed.
    pub async fn done(self) {
        let _ = self.ended.await;
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The listening end, in the script.
pub struct Listener(TcpListener);

impl Listener {
    /// The next connection.
    pub fn accept(&self) -> Peer {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Peer {
            stream,
            received: Vec::new(),
        }
    }

    /// The next connection and the request on it, to its end.
    pub fn accept_request(&self) -> (Peer, Received) {
        let mut peer = self.accept();
        let request = peer.request();
        (peer, request)
    }

    /// Asserts that nobody has connected who was not accepted.
    pub fn assert_no_other(&self) {
        self.0.set_nonblocking(true).unwrap();
        assert_eq!(self.0.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        self.0.set_nonblocking(false).unwrap();
    }
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub struct Received {
    /// Everything up to and including the empty line.
    pub head: String,
    /// What followed, as `Content-Length` delimits it.
    pub body: Vec<u8>,
}

/// One connection, in the script. Dropping it closes it.
pub struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    /// Reads a head, up to and including its empty line.
    pub fn head(&mut self) -> String {
        self.until(b"\r\n\r\n").expect(TOO_EARLY)
    }

    /// Reads a request with `Content-Length`, or with no body.
    pub fn request(&mut self) -> Received {
        self.request_or_close().expect(TOO_EARLY)
    }

    /// The next request, or `None` if the client closes the connection before it is complete.
    pub fn request_or_close(&mut self) -> Option<Received> {
        let head = self.until(b"\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let body = self.take(length.map_or(0, |length| length.parse().unwrap()))?;
        Some(Received { head, body })
    }

    /// Reads one chunk of a chunked body; `None` for the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.until(b"\r\n").expect(TOO_EARLY);
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let chunk = self.take(size).expect(TOO_EARLY);
        assert_eq!(self.take(2).expect(TOO_EARLY), b"\r\n");
        (size > 0).then_some(chunk)
    }

    /// Writes `bytes` as they are.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Writes `bytes` unless the client has closed the connection.
    pub fn try_write(&mut self, bytes: &str) {
        let _ = self.stream.write_all(bytes.as_bytes());
    }

    /// Writes a response with this body.
    pub fn respond(&mut self, body: &str) {
        self.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    /// Writes `bytes` over and over until the client has closed the connection.
    pub fn flood(&mut self, bytes: &[u8]) {
        while let Ok(1..) = self.stream.write(bytes) {}
    }

    /// Waits until the client has closed the connection; nothing may have been sent before.
    pub fn wait_for_close(&mut self) {
        assert_eq!(self.received, b"", "the client sent more than was asked for");
        match self.stream.read(&mut [0; 1]) {
            Ok(0) => {}
            Ok(_) => panic!("the client sent more than was asked for"),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
            Err(error) => panic!("the client did not close the connection: {error}"),
        }
    }

    /// As [`wait_for_close`](Self::wait_for_close), whatever was sent before.
    pub fn drain_until_close(&mut self) {
        while self.receive().is_some() {
            self.received.clear();
        }
    }

    /// Closes with a reset.
    pub fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    fn until(&mut self, end: &[u8]) -> Option<String> {
        let mut searched = 0;
        loop {
            let unsearched = &self.received[searched..];
            if let Some(at) = unsearched.windows(end.len()).position(|window| window == end) {
                return Some(String::from_utf8(self.take(searched + at + end.len())?).unwrap());
            }
            searched = self.received.len().saturating_sub(end.len() - 1);
            self.receive()?;
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.received.len() < length {
            self.receive()?;
        }
        Some(self.received.drain(..length).collect())
    }

    /// Reads what there is; `None` if the client has closed the connection.
    fn receive(&mut self) -> Option<()> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => None,
            Ok(read) => {
                self.received.extend_from_slice(&bytes[..read]);
                Some(())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("the client went silent: {error}"),
        }
    }
}

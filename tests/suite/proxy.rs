//! A TCP proxy that cuts connections where a test wants it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards connections to a server, until told otherwise. It blocks in threads of its own and ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: Mutex<SocketAddr>,
    connections: Mutex<Vec<TcpStream>>,
    /// How many requests are still to be cut off before the server sees them.
    requests_to_cut: AtomicUsize,
    /// How many answers are still to be cut off once the server has given them.
    answers_to_cut: AtomicUsize,
    /// How many answers are still to end in the middle.
    answers_to_tear: AtomicUsize,
    /// How many full buffers of answers are left until one is torn, that one included.
    full_until_tear: AtomicUsize,
    /// How many pairs of connections are open.
    open: AtomicUsize,
    /// Whether requests are held back until they are complete, as some middleboxes do.
    holds_requests: AtomicBool,
    over: AtomicBool,
}

impl Proxy {
    pub(crate) fn new(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream: Mutex::new(upstream),
            connections: Mutex::new(Vec::new()),
            requests_to_cut: AtomicUsize::new(0),
            answers_to_cut: AtomicUsize::new(0),
            answers_to_tear: AtomicUsize::new(0),
            full_until_tear: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            holds_requests: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let accepting = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.over.load(Ordering::SeqCst) {
                    return;
                }
                let state = accepting.clone();
                thread::spawn(move || state.serve(&client.unwrap()));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts the next `count` connections that carry a request, before the server gets any of it.
    pub(crate) fn cut_requests(&self, count: usize) {
        self.state.requests_to_cut.store(count, Ordering::SeqCst);
    }

    /// Cuts the next `count` connections on which the server answers, before the client gets any of it.
    pub(crate) fn cut_answers(&self, count: usize) {
        self.state.answers_to_cut.store(count, Ordering::SeqCst);
    }

    /// Cuts the next `count` connections on which the server answers, after the client has got half of what there was.
    #[allow(dead_code)] // for `tests/soak`, which has this file too
    pub(crate) fn tear_answers(&self, count: usize) {
        self.state.answers_to_tear.store(count, Ordering::SeqCst);
    }

    /// Cuts a connection in the middle of a long answer, after `count` pieces of 16 KiB of such, whosever they are.
    #[allow(dead_code)] // for `tests/soak`, which has this file too
    pub(crate) fn tear_long_answer_after(&self, count: usize) {
        self.state.full_until_tear.store(count + 1, Ordering::SeqCst);
    }

    /// Whether all the cuts that were asked for were made.
    pub(crate) fn has_cut_all(&self) -> bool {
        let state = &self.state;
        let left = [
            &state.requests_to_cut,
            &state.answers_to_cut,
            &state.answers_to_tear,
        ];
        left.iter().all(|left| left.load(Ordering::SeqCst) == 0)
    }

    /// Cuts everything that is open.
    pub(crate) fn cut(&self) {
        self.state.cut_everything();
    }

    /// Holds each request back from now on until it is complete.
    pub(crate) fn hold_requests(&self) {
        self.state.holds_requests.store(true, Ordering::SeqCst);
    }

    /// Leads to another server from now on; what is open is cut.
    pub(crate) fn lead_to(&self, upstream: SocketAddr) {
        *self.state.upstream.lock().unwrap() = upstream;
        self.state.cut_everything();
    }

    /// How many connections are open.
    pub(crate) fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        self.state.cut_everything();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn serve(&self, client: &TcpStream) {
        let upstream = *self.upstream.lock().unwrap();
        let Ok(server) = TcpStream::connect(upstream) else {
            return;
        };
        for stream in [client, &server] {
            stream.set_nodelay(true).unwrap();
            self.connections.lock().unwrap().push(stream.try_clone().unwrap());
        }
        if *self.upstream.lock().unwrap() != upstream {
            // The proxy leads elsewhere since, and may have cut what was open before this was listed. The streams that
            // are listed keep the connection from being closed by going out of scope.
            for stream in [client, &server] {
                let _ = stream.shutdown(Shutdown::Both);
            }
            return;
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        let to_server = &server;
        thread::scope(|scope| {
            let holds = self.holds_requests.load(Ordering::SeqCst);
            scope.spawn(move || forward(client, to_server, |_| self.fate_of_request(), holds));
            forward(&server, client, |length| self.fate_of_answer(length), false);
        });
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn fate_of_request(&self) -> Fate {
        if take_one(&self.requests_to_cut) {
            Fate::Cut
        } else {
            Fate::Whole
        }
    }

    fn fate_of_answer(&self, length: usize) -> Fate {
        if take_one(&self.answers_to_cut) {
            Fate::Cut
        } else if take_one(&self.answers_to_tear) || (length == BUFFER && is_last(&self.full_until_tear)) {
            Fate::Torn
        } else {
            Fate::Whole
        }
    }

    fn cut_everything(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// The most bytes that are read at once.
const BUFFER: usize = 16 * 1024;

/// What becomes of what was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    /// Half of it is passed on, and then the connection is cut.
    Torn,
    /// The connection is cut.
    Cut,
}

/// Counts down; whether there was anything left.
fn take_one(left: &AtomicUsize) -> bool {
    count_down(left).is_some()
}

/// Counts down; whether this was the last.
fn is_last(left: &AtomicUsize) -> bool {
    count_down(left) == Some(1)
}

/// Counts down to zero; returns what was left before, if there was anything.
fn count_down(left: &AtomicUsize) -> Option<usize> {
    let less = |left: usize| left.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).ok()
}

/// Copies until either side ends, then ends both. What is to be held back is so until the last of its chunks, if it has
/// chunks.
fn forward(mut from: &TcpStream, mut to: &TcpStream, fate: impl Fn(usize) -> Fate, holds: bool) {
    const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
    let mut buffer = [0; BUFFER];
    let mut held: Vec<u8> = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let fate = fate(length);
        held.extend_from_slice(&buffer[..length]);
        let is_chunked = || held.windows(7).any(|text| text.eq_ignore_ascii_case(b"chunked"));
        if holds && !held.ends_with(LAST_CHUNK) && fate == Fate::Whole && is_chunked() {
            continue;
        }
        if fate == Fate::Torn {
            let _ = to.write_all(&held[..held.len() / 2]);
        }
        if fate != Fate::Whole || to.write_all(&std::mem::take(&mut held)).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

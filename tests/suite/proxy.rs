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
    /// How many pairs of connections are open.
    open: AtomicUsize,
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
            open: AtomicUsize::new(0),
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

    /// Whether all the cuts that were asked for were made.
    pub(crate) fn has_cut_all(&self) -> bool {
        let (requests, answers) = (&self.state.requests_to_cut, &self.state.answers_to_cut);
        requests.load(Ordering::SeqCst) == 0 && answers.load(Ordering::SeqCst) == 0
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
        self.open.fetch_add(1, Ordering::SeqCst);
        thread::scope(|scope| {
            scope.spawn(|| forward(client, &server, &self.requests_to_cut));
            forward(&server, client, &self.answers_to_cut);
        });
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn cut_everything(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Copies until either side ends, then ends both.
fn forward(mut from: &TcpStream, mut to: &TcpStream, to_cut: &AtomicUsize) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let take_one = |left: usize| left.checked_sub(1);
        let is_cut = to_cut
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
            .is_ok();
        if is_cut || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

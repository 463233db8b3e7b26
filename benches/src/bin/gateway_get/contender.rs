//! The clients that are compared, each as it runs in its process.

use std::future::Future;
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyetcd::Client;
use anyetcd_benches::{Runtime, Tokio, used};
use bytes::Bytes;
use etcd_core::codec::to_json;
use etcd_core::endpoint::Endpoint;
use etcd_core::gateway::{self, Metadata};
use etcd_core::message::Get;
use etcd_core::rpc::Request as _;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use nix::sys::resource::UsageWho;
use tokio::net::TcpStream;

pub(crate) const KEY: &str = "key";
pub(crate) const VALUE: &str = "123456789";
/// All call themselves the same, since it goes over the wire with each request.
const USER_AGENT: &str = "gateway_get";

/// Connections are opened, caches and branch predictors are warm after this time.
const WARM_UP: Duration = Duration::from_millis(300);

/// A client to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The load generator, one thread of C: what the server can give.
    Wrk,
    /// hyper's HTTP/1.1 connections without anything around them: what a client on it has to spend.
    Hyper(Tokio),
    Anyetcd(Runtime),
}

impl Contender {
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::Wrk,
            Self::Hyper(Tokio::MultiThread),
            Self::Anyetcd(Runtime::Tokio(Tokio::MultiThread)),
            Self::Hyper(Tokio::CurrentThread),
            Self::Anyetcd(Runtime::Tokio(Tokio::CurrentThread)),
            Self::Anyetcd(Runtime::AsyncStd),
            Self::Anyetcd(Runtime::Smol),
        ]
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Wrk => "wrk".into(),
            Self::Hyper(tokio) => format!("hyper-{}", tokio.name()),
            Self::Anyetcd(runtime) => format!("anyetcd-{}", runtime.name()),
        }
    }

    /// The bare client that its CPU time is compared with: the one that has as many threads, if there is one.
    pub(crate) fn baseline(self) -> Self {
        match self {
            Self::Wrk => Self::Hyper(Tokio::MultiThread),
            Self::Hyper(_) => self,
            Self::Anyetcd(runtime) => Self::Hyper(runtime.nearest_tokio()),
        }
    }
}

/// The process of a contender: `NAME URL IN_FLIGHT SECONDS`. Prints the number of gets, and the microseconds of CPU
/// and of time that they took.
pub(crate) fn run(args: &[&str]) -> ExitCode {
    let parsed = match args {
        [name, url, in_flight, seconds] => Contender::all()
            .into_iter()
            .find(|contender| contender.name() == *name)
            .zip(in_flight.parse().ok())
            .zip(seconds.parse().ok())
            .map(|((contender, in_flight), seconds)| (contender, *url, in_flight, seconds)),
        _ => None,
    };
    let Some((contender, url, in_flight, seconds)) = parsed else {
        return ExitCode::from(2);
    };
    let gets = Arc::new(AtomicU64::new(0));
    let counted = gets.clone();
    thread::spawn(move || watch_the_clock(&counted, Duration::from_secs(seconds)));
    match contender {
        Contender::Wrk => return ExitCode::from(2),
        Contender::Hyper(tokio) => tokio.block_on(async {
            let tasks = (0..in_flight).map(|_| tokio::spawn(bare_hyper(url.to_owned(), gets.clone())));
            wait_for_ever(tasks.collect()).await;
        }),
        Contender::Anyetcd(Runtime::Tokio(tokio)) => tokio.block_on(async {
            let client = client(url);
            let tasks = (0..in_flight).map(|_| tokio::spawn(anyetcd(client.clone(), gets.clone())));
            wait_for_ever(tasks.collect()).await;
        }),
        Contender::Anyetcd(runtime @ Runtime::AsyncStd) => runtime.block_on(async {
            let client = client(url);
            let tasks = (0..in_flight).map(|_| async_std::task::spawn(anyetcd(client.clone(), gets.clone())));
            wait_for_ever(tasks.collect()).await;
        }),
        Contender::Anyetcd(runtime @ Runtime::Smol) => runtime.block_on(async {
            let client = client(url);
            let tasks = (0..in_flight).map(|_| smol::spawn(anyetcd(client.clone(), gets.clone())));
            wait_for_ever(tasks.collect()).await;
        }),
    }
    ExitCode::SUCCESS
}

/// The tasks end with the process, or with an error that ends it.
async fn wait_for_ever<T: Future>(tasks: Vec<T>) {
    for task in tasks {
        task.await;
    }
}

/// Ends the process when its time is over, with what it did after the warm-up.
fn watch_the_clock(gets: &AtomicU64, time: Duration) {
    let used = || used(UsageWho::RUSAGE_SELF);
    thread::sleep(WARM_UP);
    let (gets_before, cpu_before, started) = (gets.load(Ordering::Relaxed), used(), Instant::now());
    thread::sleep(time);
    let gets = gets.load(Ordering::Relaxed) - gets_before;
    let cpu = used() - cpu_before;
    println!("{gets} {} {}", cpu.as_micros(), started.elapsed().as_micros());
    exit(0);
}

fn client(url: &str) -> Client {
    Client::builder()
        .endpoint(url)
        .user_agent(USER_AGENT)
        .build()
        .unwrap_or_else(|error| give_up(&error))
}

/// Gets the key again and again.
async fn anyetcd(client: Client, gets: Arc<AtomicU64>) {
    loop {
        match client.get(KEY).await {
            Ok(response) if response.kvs.len() == 1 => gets.fetch_add(1, Ordering::Relaxed),
            Ok(response) => give_up(&format!("{response:?}")),
            Err(error) => give_up(&error),
        };
    }
}

/// Sends what anyetcd sends, over a connection of its own, and takes the answer's bytes without looking into them.
async fn bare_hyper(url: String, gets: Arc<AtomicU64>) {
    let endpoint: Endpoint = url.parse().unwrap_or_else(|error| give_up(&error));
    let request = get_request(&endpoint);
    let stream = TcpStream::connect(endpoint.authority())
        .await
        .unwrap_or_else(|error| give_up(&error));
    stream.set_nodelay(true).unwrap_or_else(|error| give_up(&error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap_or_else(|error| give_up(&error));
    tokio::spawn(connection);
    loop {
        let response = sender
            .send_request(request.clone().map(Full::new))
            .await
            .unwrap_or_else(|error| give_up(&error));
        if !response.status().is_success() {
            give_up(&response.status());
        }
        let body = response.into_body().collect().await;
        body.unwrap_or_else(|error| give_up(&error)).to_bytes();
        gets.fetch_add(1, Ordering::Relaxed);
    }
}

/// A get as anyetcd puts it.
fn get_request(endpoint: &Endpoint) -> http::Request<Bytes> {
    let get = Get::new(KEY);
    let mut metadata = Metadata::default();
    metadata.require_leader = get.needs_leader();
    metadata.user_agent = Some(http::HeaderValue::from_static(USER_AGENT));
    let mut request = gateway::request(endpoint, Get::RPC, to_json(&get).into(), &metadata);
    let host = http::HeaderValue::from_str(endpoint.authority()).expect("an authority is a header's value");
    request.headers_mut().insert(http::header::HOST, host);
    // In requests to servers a path is all there is.
    *request.uri_mut() = http::Uri::from_static("/v3/kv/range");
    request
}

fn give_up(why: &dyn std::fmt::Display) -> ! {
    eprintln!("{why}");
    exit(1)
}

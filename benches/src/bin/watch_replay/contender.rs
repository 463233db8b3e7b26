//! The clients that are compared, each as it runs in its process.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyetcd::{Client, prefix};
use anyetcd_benches::{Runtime, Tokio, peak_resident, used};
use http_body_util::BodyExt;
use nix::sys::resource::UsageWho;

use crate::history::{PREFIX, VALUE_LENGTH};
use crate::request::{self, USER_AGENT};

/// A client to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// hyper's HTTP/1.1 connection without anything around it: it takes the answer's bytes and drops them.
    Hyper(Tokio),
    /// It hands out events.
    Anyetcd(Runtime),
}

impl Contender {
    pub(crate) fn all() -> Vec<Self> {
        vec![
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
            Self::Hyper(tokio) => format!("hyper-{}", tokio.name()),
            Self::Anyetcd(runtime) => format!("anyetcd-{}", runtime.name()),
        }
    }

    /// The byte receiver that it is compared with: the one that has as many threads, if there is one.
    pub(crate) fn baseline(self) -> Self {
        match self {
            Self::Hyper(_) => self,
            Self::Anyetcd(runtime) => Self::Hyper(runtime.nearest_tokio()),
        }
    }
}

/// The process of a contender: `NAME URL EVENTS BYTES`. Prints the microseconds until the last event, until the first
/// bytes and of CPU, and by how many bytes its memory grew.
pub(crate) fn run(args: &[&str]) -> ExitCode {
    let parsed = match args {
        [name, url, events, bytes] => Contender::all()
            .into_iter()
            .find(|contender| contender.name() == *name)
            .zip(events.parse().ok())
            .zip(bytes.parse().ok())
            .map(|((contender, events), bytes)| (contender, *url, events, bytes)),
        _ => None,
    };
    let Some((contender, url, events, bytes)) = parsed else {
        return ExitCode::from(2);
    };
    let measured = match contender {
        Contender::Hyper(tokio) => tokio.block_on(measured(drain(url, bytes))),
        Contender::Anyetcd(runtime) => runtime.block_on(measured(watch(url, events))),
    };
    match measured {
        Ok([time, first_bytes, cpu, memory]) => println!("{time} {first_bytes} {cpu} {memory}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn measured(replay: impl Future<Output = Result<Duration, String>>) -> Result<[u64; 4], String> {
    let cpu = || used(UsageWho::RUSAGE_SELF);
    let (memory_before, cpu_before, started) = (peak_resident()?, cpu(), Instant::now());
    let first_bytes = replay.await?;
    let (time, cpu) = (started.elapsed(), cpu() - cpu_before);
    let memory = peak_resident()? - memory_before;
    let micros = |time: Duration| time.as_micros() as u64;
    Ok([micros(time), micros(first_bytes), micros(cpu), memory])
}

/// Takes the history's events, with a look at each; when the first bytes came is not known.
async fn watch(url: &str, events: usize) -> Result<Duration, String> {
    replay(url, events)
        .await
        .map(|()| Duration::ZERO)
        .map_err(|error| error.to_string())
}

async fn replay(url: &str, events: usize) -> anyetcd::Result<()> {
    let client = Client::builder().endpoint(url).user_agent(USER_AGENT).build()?;
    let mut watch = client.watch(prefix(PREFIX)).start_revision(1).await?;
    let (mut count, mut bytes) = (0, 0);
    while count < events {
        let Some(batch) = watch.try_next().await? else {
            break;
        };
        count += batch.events().len();
        bytes += batch
            .events()
            .iter()
            .map(|event| event.kv.value.len())
            .sum::<usize>();
    }
    assert_eq!((count, bytes), (events, events * VALUE_LENGTH));
    Ok(())
}

/// Takes the answer's bytes without looking into them; when the first came of what is not the greeting's.
async fn drain(url: &str, bytes: u64) -> Result<Duration, String> {
    /// What the stream begins with is shorter, and each piece of a long answer is longer.
    const GREETING: u64 = 2048;
    let started = Instant::now();
    let mut opened = request::open(url).await?;
    let (mut taken, mut first_bytes) = (0, None);
    while taken < bytes {
        let frame = opened
            .answer
            .frame()
            .await
            .ok_or("the stream ended")?
            .map_err(|error| error.to_string())?;
        taken += frame.data_ref().map_or(0, |data| data.len() as u64);
        if taken > GREETING {
            first_bytes.get_or_insert_with(|| started.elapsed());
        }
    }
    Ok(first_bytes.unwrap_or_default())
}

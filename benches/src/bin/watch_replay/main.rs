//! A watch that catches up with a long history: anyetcd, which decodes it, beside bare hyper, which drops its bytes.
//!
//! ```sh
//! cargo run --release --bin watch_replay -- --rounds 9
//! ```
//!
//! All contenders send the same lines to the same server. In each round they take turns, so that what else the machine
//! does meets all of them alike; what counts is the median of the rounds. Each runs in a process of its own, so that its
//! CPU time and its memory are its own.

mod contender;
mod history;
mod request;
mod table;

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use etcd_process::{Dialect, Server};

use contender::Contender;
use history::History;

/// What one contender did in one round.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// From the request to the last event.
    time: Duration,
    /// From the request to the first bytes of events; only the byte receiver notes it.
    first_bytes: Duration,
    /// Of the client's process.
    cpu: Duration,
    /// Of the server's process, meanwhile.
    server_cpu: Duration,
    /// By how much the most memory that the client's process ever had grew.
    memory: u64,
}

struct Options {
    rounds: usize,
    history: History,
    dialects: Vec<Dialect>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["contender", args @ ..] = &args[..] {
        return contender::run(args);
    }
    let Some(options) = options(&args) else {
        eprintln!(
            "usage: watch_replay [--rounds N] [--events N] [--revisions N] [--dialect g1.6|g1.16|g2]\n\
             defaults: 9 rounds, 200000 events in 1000 revisions, which is one line, all dialects"
        );
        return ExitCode::from(2);
    };
    for dialect in &options.dialects {
        if let Err(error) = measure(&options, *dialect) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn options(args: &[&str]) -> Option<Options> {
    let mut options = Options {
        rounds: 9,
        history: History::default(),
        dialects: Dialect::ALL.to_vec(),
    };
    for pair in args.chunks(2) {
        match *pair {
            ["--rounds", rounds] => options.rounds = rounds.parse().ok().filter(|n| *n > 0)?,
            ["--events", events] => options.history.events = events.parse().ok().filter(|n| *n > 0)?,
            ["--revisions", revisions] => {
                options.history.revisions = revisions.parse().ok().filter(|n| *n > 0)?;
            }
            ["--dialect", name] => {
                options.dialects = Dialect::ALL
                    .into_iter()
                    .filter(|dialect| dialect.name() == name)
                    .collect();
            }
            _ => return None,
        }
    }
    let is_even = options.history.events.is_multiple_of(options.history.revisions);
    (is_even && !options.dialects.is_empty()).then_some(options)
}

fn measure(options: &Options, dialect: Dialect) -> Result<(), String> {
    let history = options.history;
    let server = history.write(dialect)?;
    let bytes = request::bytes_of_the_answer(server.client_url(), history)?;
    println!(
        "\netcd {}: {} events in {} revisions, {:.1} MB; {} rounds, medians",
        server.version(),
        history.events,
        history.revisions,
        bytes as f64 / 1e6,
        options.rounds,
    );
    let contenders = Contender::all();
    let mut measured = vec![Vec::new(); contenders.len()];
    for round in 0..options.rounds {
        // Each round begins with another contender: none always follows the same.
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            measured[index].push(in_a_process(contenders[index], &server, history, bytes)?);
        }
    }
    table::print(history, bytes, &contenders, &measured);
    Ok(())
}

/// Runs `contender` in a process of its own.
fn in_a_process(
    contender: Contender,
    server: &Server,
    history: History,
    bytes: u64,
) -> Result<Measured, String> {
    let server_cpu = || {
        server
            .metric("process_cpu_seconds_total")
            .ok_or("etcd does not tell its CPU time")
    };
    let server_cpu_before = server_cpu()?;
    let output = Command::new(std::env::current_exe().map_err(|error| error.to_string())?)
        .args(["contender", &contender.name(), server.client_url()])
        .args([history.events.to_string(), bytes.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    let server_cpu = Duration::from_secs_f64(server_cpu()? - server_cpu_before);
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [time, first_bytes, cpu, memory] if output.status.success() => Ok(Measured {
            time: Duration::from_micros(time),
            first_bytes: Duration::from_micros(first_bytes),
            cpu: Duration::from_micros(cpu),
            server_cpu,
            memory,
        }),
        _ => Err(format!("{}: {}\n{text}", contender.name(), output.status)),
    }
}

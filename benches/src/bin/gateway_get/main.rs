//! Linearizable gets of a small key through the JSON gateway: anyetcd on three runtimes beside `wrk` and bare hyper.
//!
//! ```sh
//! cargo run --release --bin gateway_get -- --seconds 5 --rounds 5
//! ```
//!
//! All contenders send the same request to the same server, which is verified before anything is measured. In each round
//! they take turns, so that what else the machine does meets all of them alike; what counts is the median of the
//! rounds. Each runs in a process of its own, so that its CPU time is its own.

mod capture;
mod contender;
mod table;
mod wrk;

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use etcd_process::{Dialect, Server};

use contender::Contender;

/// What one contender did in one round.
#[derive(Clone, Copy, Debug)]
struct Measured {
    gets_per_second: f64,
    /// Of the client's process, in microseconds.
    cpu_per_get: f64,
}

struct Options {
    seconds: u64,
    rounds: usize,
    in_flight: Vec<usize>,
    dialect: Dialect,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["contender", args @ ..] = &args[..] {
        return contender::run(args);
    }
    let Some(options) = options(&args) else {
        eprintln!(
            "usage: gateway_get [--seconds N] [--rounds N] [--in-flight N,N...] [--dialect g1.6|g1.16|g2]\n\
             defaults: 5 seconds, 5 rounds, 1,16,64 in flight, g2"
        );
        return ExitCode::from(2);
    };
    match measure_all(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[&str]) -> Option<Options> {
    let mut options = Options {
        seconds: 5,
        rounds: 5,
        in_flight: vec![1, 16, 64],
        dialect: Dialect::G2,
    };
    for pair in args.chunks(2) {
        match *pair {
            ["--seconds", seconds] => options.seconds = seconds.parse().ok().filter(|n| *n > 0)?,
            ["--rounds", rounds] => options.rounds = rounds.parse().ok().filter(|n| *n > 0)?,
            ["--in-flight", list] => {
                options.in_flight = list.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?;
            }
            ["--dialect", name] => {
                options.dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)?;
            }
            _ => return None,
        }
    }
    Some(options)
}

fn measure_all(options: &Options) -> Result<(), String> {
    let contenders = Contender::all();
    capture::verify_that_all_send_the_same(&contenders)?;

    let server = Server::start(options.dialect);
    let put = server.etcdctl(["put", contender::KEY, contender::VALUE]);
    if !put.status.success() {
        return Err(String::from_utf8_lossy(&put.stderr).into_owned());
    }
    println!(
        "etcd {}, {} rounds of {} s, medians",
        etcd_process::binaries::version(options.dialect),
        options.rounds,
        options.seconds
    );
    for &in_flight in &options.in_flight {
        let mut measured = vec![Vec::new(); contenders.len()];
        for round in 0..options.rounds {
            // Each round begins with another contender: none always follows the same.
            for turn in 0..contenders.len() {
                let index = (round + turn) % contenders.len();
                let contender = contenders[index];
                let result = match contender {
                    Contender::Wrk => wrk::measure(server.client_url(), in_flight, options.seconds)?,
                    _ => in_a_process(contender, server.client_url(), in_flight, options.seconds)?,
                };
                measured[index].push(result);
            }
        }
        table::print(in_flight, &contenders, &measured);
    }
    Ok(())
}

/// Runs `contender` in a process of its own.
fn in_a_process(contender: Contender, url: &str, in_flight: usize, seconds: u64) -> Result<Measured, String> {
    let output = Command::new(std::env::current_exe().map_err(|error| error.to_string())?)
        .args([
            "contender",
            &contender.name(),
            url,
            &in_flight.to_string(),
            &seconds.to_string(),
        ])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [gets, cpu, time] if output.status.success() && gets > 0 => Ok(measured(
            gets,
            Duration::from_micros(cpu),
            Duration::from_micros(time),
        )),
        _ => Err(format!("{}: {}\n{text}", contender.name(), output.status)),
    }
}

fn measured(gets: u64, cpu: Duration, time: Duration) -> Measured {
    Measured {
        gets_per_second: gets as f64 / time.as_secs_f64(),
        cpu_per_get: cpu.as_secs_f64() * 1e6 / gets as f64,
    }
}

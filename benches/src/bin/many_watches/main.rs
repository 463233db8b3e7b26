//! Many watches on one connection: what memory each takes, and what an event costs that concerns one of them.
//!
//! ```sh
//! cargo run --release --bin many_watches -- --rounds 5
//! ```
//!
//! The client runs in a process of its own, so that its CPU time and its memory are its own; another process writes.

mod client;
mod instructions;
mod writer;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use anyetcd_benches::{median, range};
use etcd_process::{Dialect, Server};

use client::Told;

struct Options {
    rounds: usize,
    watches: Vec<usize>,
    events: usize,
    dialect: Dialect,
    instructions: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    if let ["client", args @ ..] = &args[..] {
        return client::run(args);
    }
    let Some(options) = options(&args) else {
        eprintln!(
            "usage: many_watches [--rounds N] [--watches N,N...] [--events N] [--dialect g1.6|g1.16|g2] [--instructions]\n\
             defaults: 5 rounds, 10,1000,10000 watches, 20000 events, g2; --instructions counts them, with valgrind"
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
        rounds: 5,
        watches: vec![10, 1000, 10_000],
        events: 20_000,
        dialect: Dialect::G2,
        instructions: false,
    };
    let mut args = args.iter().copied();
    while let Some(name) = args.next() {
        match name {
            "--rounds" => options.rounds = args.next()?.parse().ok().filter(|n| *n > 0)?,
            "--events" => options.events = args.next()?.parse().ok().filter(|n| *n > 0)?,
            "--watches" => {
                let list = args.next()?.split(',');
                options.watches = list
                    .map(|n| n.parse().ok().filter(|n| *n > 0))
                    .collect::<Option<_>>()?;
            }
            "--dialect" => {
                let name = args.next()?;
                options.dialect = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)?;
            }
            "--instructions" => options.instructions = true,
            _ => return None,
        }
    }
    Some(options)
}

fn measure_all(options: &Options) -> Result<(), String> {
    let server = Server::start(options.dialect);
    println!(
        "etcd {}, {} events, {} rounds, medians",
        server.version(),
        options.events,
        options.rounds
    );
    let mut told = vec![Vec::new(); options.watches.len()];
    for round in 0..options.rounds {
        // Each round begins with another number.
        for turn in 0..options.watches.len() {
            let index = (round + turn) % options.watches.len();
            let client = client_process(None)?;
            told[index].push(tell(&server, client, options.watches[index], options.events)?);
        }
    }
    println!(
        "{:>8} {:>14} {:>12} {:>12} {:>17}{}",
        "watches",
        "bytes a watch",
        "us to create",
        "CPU us/event",
        "(min to max)",
        if options.instructions {
            " instructions/event"
        } else {
            ""
        },
    );
    for (&watches, told) in options.watches.iter().zip(&told) {
        let cpu = |told: &Told| told.cpu_micros as f64 / options.events as f64;
        let (min, max) = range(told.iter().map(cpu));
        print!(
            "{watches:>8} {:>14.0} {:>12.1} {:>12.1} {:>17}",
            median(told.iter().map(|told| told.bytes as f64)) / watches as f64,
            median(told.iter().map(|told| told.creation_cpu_micros as f64)) / watches as f64,
            median(told.iter().map(cpu)),
            format!("({min:.1} to {max:.1})"),
        );
        if options.instructions {
            print!(" {:>19.0}", instructions::per_event(&server, watches)?);
        }
        println!();
    }
    Ok(())
}

/// Starts the client, under `valgrind` if wanted, with what tells it what to count.
fn client_process(valgrind: Option<&[String]>) -> Result<Command, String> {
    let client = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = match valgrind {
        None => Command::new(client),
        Some(options) => {
            let mut command = Command::new("valgrind");
            command.args(options).arg(client);
            command
        }
    };
    command.arg("client");
    Ok(command)
}

/// Runs the client, writes once it watches, and returns what it tells when it has got it all.
fn tell(server: &Server, mut client: Command, watches: usize, events: usize) -> Result<Told, String> {
    let mut child: Child = client
        .args([server.client_url(), &watches.to_string(), &events.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let stdout = child.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut line = || lines.next().and_then(Result::ok).unwrap_or_default();
    let told = if line() == client::READY {
        writer::write(server.client_url(), watches, events).and_then(|()| line().parse())
    } else {
        Err("it could not watch".to_owned())
    };
    if told.is_err() {
        let _ = child.kill();
    }
    child.wait().map_err(|error| error.to_string())?;
    told
}

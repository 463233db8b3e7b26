//! An etcd in memory that listens: see `--help`.

mod options;

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;

use etcd_embedded::listen::HttpServer;
use etcd_embedded::{Dialect, Server};
use options::{Command, Options};

fn main() -> ExitCode {
    let result = match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(options::HELP),
        Ok(Command::Version) => print(concat!("etcd-embedded ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Serve(options)) => serve(*options),
        Err(refusal) => {
            eprintln!("etcd-embedded: {refusal}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("etcd-embedded: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal asks for the end.
fn serve(options: Options) -> io::Result<()> {
    // Before anybody is told that the server is there.
    let end = Signals::new()?;
    let mut listeners = Vec::new();
    for address in &options.addresses {
        let listener = TcpListener::bind(address)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}")))?;
        listeners.push(listener);
    }
    let mut urls = Vec::new();
    for listener in &listeners {
        urls.push(format!("http://{}", listener.local_addr()?));
    }
    let text = format!(
        "etcd-embedded {}: an etcd in memory, for development and tests; nothing is kept\n\
         speaking {}\n\
         listening at {}\n",
        env!("CARGO_PKG_VERSION"),
        describe(options.config.dialect),
        urls.join(" "),
    );
    let config = options.config.client_urls(options.advertised.unwrap_or(urls));
    let server = HttpServer::serve(listeners, |runtime| {
        let seed = options.seed.unwrap_or_else(|| runtime.entropy());
        Server::new(config, runtime.now(), seed)
    })?;
    print(&text)?;
    end.wait();
    server.shutdown();
    Ok(())
}

fn describe(dialect: Dialect) -> String {
    let name = match dialect {
        Dialect::G1_6 => "g1.6",
        Dialect::G1_16 => "g1.16",
        _ => "g2",
    };
    format!("dialect {name}, as etcd {}", dialect.server_version())
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// What asks a program to end.
struct Signals {
    runtime: tokio::runtime::Runtime,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on signals are noticed.
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let _context = runtime.enter();
            let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            drop(_context);
            Ok(Self {
                runtime,
                terminate,
                interrupt,
            })
        }
        #[cfg(not(unix))]
        Ok(Self { runtime })
    }

    #[cfg(unix)]
    fn wait(mut self) {
        self.runtime.block_on(async {
            let (terminate, interrupt) = (
                std::pin::pin!(self.terminate.recv()),
                std::pin::pin!(self.interrupt.recv()),
            );
            futures_util::future::select(terminate, interrupt).await;
        });
    }

    #[cfg(not(unix))]
    fn wait(self) {
        // Where there is no way to be told, the program is killed.
        let _ = self.runtime.block_on(tokio::signal::ctrl_c());
    }
}

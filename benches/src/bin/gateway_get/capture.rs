//! Proof that all contenders send the same.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::contender::Contender;
use crate::wrk;

/// A request: its first line, its headers in the order of their names, its body.
#[derive(PartialEq, Eq, Debug)]
struct Captured {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// Has each of them send to a listener here, and compares what comes.
///
/// The names of headers are compared without regard to case, and their order does not count: `wrk` has its own.
pub(crate) fn verify_that_all_send_the_same(contenders: &[Contender]) -> Result<(), String> {
    let mut first: Option<Captured> = None;
    for contender in contenders {
        let captured = capture(*contender).map_err(|error| format!("{}: {error}", contender.name()))?;
        match &first {
            None => {
                println!("all send {} {:?}", captured.line, captured.body);
                first = Some(captured);
            }
            Some(first) if *first == captured => {}
            Some(first) => {
                return Err(format!(
                    "{} sends {captured:#?}, others {first:#?}",
                    contender.name()
                ));
            }
        }
    }
    Ok(())
}

fn capture(contender: Contender) -> Result<Captured, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let mut child = start(contender, &format!("http://{address}"))?;
    // One request is enough, and nobody answers it. wrk first makes a connection only to see whether it can.
    let captured = loop {
        match listener.accept().and_then(|(stream, _)| read_request(stream)) {
            Ok(captured) if captured.line.is_empty() => {}
            captured => break captured.map_err(|error| error.to_string()),
        }
    };
    // It would wait for an answer that does not come.
    let _ = child.kill();
    let _ = child.wait();
    // The port is not what they are compared by.
    captured.map(|mut captured| {
        for (name, value) in &mut captured.headers {
            if name == "host" {
                *value = value.replace(&address.port().to_string(), "PORT");
            }
        }
        captured
    })
}

fn start(contender: Contender, url: &str) -> Result<Child, String> {
    let mut command = match contender {
        Contender::Wrk => wrk::command(url, 1, 10)?,
        _ => {
            let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
            command.args(["contender", &contender.name(), url, "1", "10"]);
            command
        }
    };
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())
}

fn read_request(stream: TcpStream) -> std::io::Result<Captured> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut headers: Vec<(String, String)> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    headers.sort();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Captured {
        line: lines.into_iter().next().unwrap_or_default(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

//! The program.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_etcd-embedded");

/// Killed when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_what_it_is_serves_and_ends_when_asked_to() {
    for (signal, dialect, version) in [(Signal::TERM, "g1.6", "3.4.23"), (Signal::INT, "g2", "3.5.30")] {
        let mut command = Command::new(PROGRAM);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--dialect",
            dialect,
            "--listen=127.0.0.1:0",
        ]);
        let mut server = Running(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        assert!(line().contains("for development and tests"));
        assert_eq!(line(), format!("speaking dialect {dialect}, as etcd {version}"));
        let urls = line();
        let urls: Vec<&str> = urls.strip_prefix("listening at ").unwrap().split(' ').collect();
        assert_eq!(urls.len(), 2);
        for url in urls {
            let mut socket = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
            std::io::Write::write_all(&mut socket, b"GET /version HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            assert!(
                answer.contains(&format!(r#""etcdserver":"{version}""#)),
                "{answer}"
            );
        }

        kill_process(Pid::from_child(&server.0), signal).unwrap();
        let status = server.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{status}");
    }
}

#[test]
fn it_refuses_to_be_reached_from_elsewhere_unless_that_is_meant() {
    let output = Command::new(PROGRAM)
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let refusal = String::from_utf8(output.stderr).unwrap();
    assert!(refusal.contains("--allow-remote"), "{refusal}");
}

#[test]
fn it_tells_its_options_and_an_address_in_use() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--dialect"));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(PROGRAM)
        .args(["--listen", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&format!("cannot listen at {address}")), "{error}");
}

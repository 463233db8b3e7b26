//! Runs a command and looks at what it prints, line by line, as it comes.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long there is no output until it is worth a look whether the command has ended.
const IDLE: Duration = Duration::from_secs(1);

/// Runs `command` to its end; `on_line` gets each line, of stdout and stderr in their order, with its end. Bytes, not text: it
/// may print anything.
///
/// It ends with the command, and not only when everybody has ended who has inherited its output.
pub(crate) fn run_piped(
    mut command: Command,
    mut on_line: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<ExitStatus> {
    let (output, input) = io::pipe()?;
    let mut child = command.stdout(input.try_clone()?).stderr(input).spawn()?;
    // Its ends of the pipe go with it, or the output would never end.
    drop(command);
    let lines = lines_of(output);
    let mut ended = None;
    loop {
        match (lines.recv_timeout(IDLE), ended) {
            (Ok(line), _) => on_line(&line?)?,
            // What it printed last may be on its way for a while after its end.
            (Err(RecvTimeoutError::Timeout), None) => ended = child.try_wait()?,
            (Err(RecvTimeoutError::Timeout), Some(status)) => return Ok(status),
            (Err(RecvTimeoutError::Disconnected), _) => return child.wait(),
        }
    }
}

fn lines_of(output: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            let read = output.read_until(b'\n', &mut line);
            if let Ok(0) = read {
                return;
            }
            let is_last = read.is_err();
            if sender.send(read.map(|_| line)).is_err() || is_last {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> (String, Option<i32>) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut printed = Vec::new();
        let status = run_piped(command, |line| {
            printed.extend(line);
            Ok(())
        });
        let status = status.expect("every machine that tests this has sh");
        (String::from_utf8_lossy(&printed).into_owned(), status.code())
    }

    #[test]
    fn both_outputs_come_in_their_order_and_the_last_line_too() {
        let (printed, code) = run("echo one; echo two >&2; printf three; exit 7");
        assert_eq!((&printed[..], code), ("one\ntwo\nthree", Some(7)));
    }

    #[test]
    fn whoever_is_left_behind_with_the_output_is_not_waited_for() {
        let (printed, code) = run("sleep 600 & echo $!; exit 3");
        assert_eq!(code, Some(3));
        let left_behind = printed.trim_end().to_owned();
        let killed = Command::new("kill").arg(left_behind).status();
        assert!(killed.expect("there is kill").success(), "it was still there");
    }
}

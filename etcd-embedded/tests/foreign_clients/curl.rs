//! curl, as in etcd's own documentation of the gateway.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::on_every_server;

fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--no-buffer", "--max-time", "60"]);
    command
}

/// The answer of a call that succeeds, without the spaces that g2 puts after commas.
fn post(url: &str, path: &str, body: &str) -> String {
    let mut command = curl();
    command
        .args(["--fail-with-body", "--data", body])
        .arg(format!("{url}/v3/{path}"));
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run curl: {error}; `apt-get install curl` installs it"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{path} {body}: {text}");
    text.replace(", ", ",")
}

/// The value of a number that is sent as text.
fn number(answer: &str, name: &str) -> i64 {
    let start = format!("\"{name}\":\"");
    let (_, rest) = answer
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {name} in {answer}"));
    rest.split('"').next().unwrap().parse().unwrap()
}

/// Killed when a test ends.
struct Streaming(Child);

impl Drop for Streaming {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_puts_gets_and_deletes() {
    on_every_server(|url| {
        let put = post(url, "kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#);
        let revision = number(&put, "revision");
        let got = post(url, "kv/range", r#"{"key": "Zm9v"}"#);
        let expected = format!(
            r#""kvs":[{{"key":"Zm9v","create_revision":"{revision}","mod_revision":"{revision}","version":"1","value":"YmFy"}}],"count":"1"}}"#
        );
        assert!(got.ends_with(&expected), "{got}");
        let deleted = post(url, "kv/deleterange", r#"{"key": "Zm9v", "prev_kv": true}"#);
        assert!(
            deleted.contains(r#""deleted":"1","prev_kvs":[{"key":"Zm9v""#),
            "{deleted}"
        );
    });
}

#[test]
fn it_compares_and_swaps() {
    on_every_server(|url| {
        post(url, "kv/put", r#"{"key": "dHhu", "value": "MQ=="}"#);
        let swap = r#"{
            "compare": [{"target": "VALUE", "key": "dHhu", "value": "MQ=="}],
            "success": [{"requestPut": {"key": "dHhu", "value": "Mg=="}}],
            "failure": [{"requestRange": {"key": "dHhu"}}]
        }"#;
        let first = post(url, "kv/txn", swap);
        assert!(first.contains(r#""succeeded":true"#), "{first}");
        let second = post(url, "kv/txn", swap);
        assert!(
            !second.contains("succeeded") && second.contains(r#""value":"Mg==""#),
            "{second}"
        );
    });
}

#[test]
fn it_watches() {
    on_every_server(|url| {
        let mut command = curl();
        command
            .args([
                "--data",
                r#"{"create_request": {"key": "d2F0Y2g=", "prev_kv": true}}"#,
            ])
            .arg(format!("{url}/v3/watch"))
            .stdout(Stdio::piped());
        let mut watch = Streaming(command.spawn().unwrap());
        let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("the stream goes on").unwrap();
        assert!(line().contains(r#""created":true"#));
        post(url, "kv/put", r#"{"key": "d2F0Y2g=", "value": "MQ=="}"#);
        let event = line();
        assert!(
            event.contains(r#""events":[{"kv":{"key":"d2F0Y2g=""#) && event.contains(r#""value":"MQ==""#),
            "{event}"
        );
        post(url, "kv/deleterange", r#"{"key": "d2F0Y2g="}"#);
        let event = line();
        assert!(
            event.contains(r#"{"type":"DELETE","kv":"#) && event.contains("prev_kv"),
            "{event}"
        );
    });
}

#[test]
fn it_keeps_a_lease_alive_and_revokes_it_with_its_keys() {
    on_every_server(|url| {
        let id = number(&post(url, "lease/grant", r#"{"TTL": 60}"#), "ID");
        let with_id = |rest: &str| format!(r#"{{"ID": {id}{rest}}}"#);
        post(
            url,
            "kv/put",
            &format!(r#"{{"key": "bGVhc2Vk", "value": "MQ==", "lease": {id}}}"#),
        );
        let kept = post(url, "lease/keepalive", &with_id(""));
        assert_eq!(number(&kept, "TTL"), 60);
        let left = post(url, "lease/timetolive", &with_id(r#", "keys": true"#));
        assert!(
            number(&left, "grantedTTL") == 60 && left.contains(r#""keys":["bGVhc2Vk"]"#),
            "{left}"
        );
        post(url, "lease/revoke", &with_id(""));
        let gone = post(url, "kv/range", r#"{"key": "bGVhc2Vk"}"#);
        assert!(!gone.contains("kvs"), "{gone}");
    });
}

#[test]
fn it_is_told_what_is_wrong() {
    on_every_server(|url| {
        let mut command = curl();
        command
            .args(["--write-out", " %{http_code}", "--data", r#"{"ID": 404}"#])
            .arg(format!("{url}/v3/lease/revoke"));
        let answer = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(
            answer.contains("requested lease not found") && answer.ends_with(" 404"),
            "{answer}"
        );
    });
}

//! Every example runs, twice in a row, against every dialect's server, says what it should and leaves nothing behind.

#![allow(clippy::unwrap_used)]

#[path = "examples/worker.rs"]
mod worker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use etcd_process::{Dialect, Server, shared};

/// Each example with lines that it has to print.
macro_rules! examples {
    ($( $name:ident { $($line:literal,)* } )*) => {
        const NAMES: &[&str] = &[$(stringify!($name),)*];

        examples!(@dialect g1_6, G1_6, $( $name { $($line,)* } )*);
        examples!(@dialect g1_16, G1_16, $( $name { $($line,)* } )*);
        examples!(@dialect g2, G2, $( $name { $($line,)* } )*);
    };
    (@dialect $module:ident, $dialect:ident, $( $name:ident { $($line:literal,)* } )*) => {
        mod $module {
            use etcd_process::Dialect;

            $(
                #[test]
                fn $name() {
                    super::runs_and_says(stringify!($name), Dialect::$dialect, &[$($line,)*]);
                }
            )*

            #[test]
            fn a_worker_that_slept_past_its_deadline_knows_it_on_waking() {
                super::worker::that_slept_past_its_deadline_knows_it_on_waking(Dialect::$dialect);
            }

            #[test]
            fn a_worker_whose_lease_is_revoked_behind_its_back_does_nothing() {
                super::worker::whose_lease_is_revoked_behind_its_back_does_nothing(Dialect::$dialect);
            }

            #[test]
            fn any_runtime_prints_the_same_on_each_runtime() {
                super::any_runtime_prints_what_is_expected(Dialect::$dialect);
            }
        }
    };
}

examples! {
    quickstart {
        "before: Some(b\"fast\")",
        "b\"quickstart/bytes\" = b\"\\0\\xff\", written 1 times",
        "the mode is now safe",
        "a lease of 60 s keeps [b\"quickstart/service/1\"]",
        "Put b\"quickstart/service/1\"",
        "Delete b\"quickstart/service/1\"",
        "2 keys tidied up",
    }
    crud {
        "from apple to cherry: crud/apple=green crud/banana=yellow",
        "by color: crud/date=brown crud/apple=green crud/cherry=red crud/banana=yellow",
        "before the update: crud/apple=green",
        "at the first revision: crud/apple=green",
        "kept, because it was changed: crud/banana=black",
        "deleted: crud/date=brown",
        "3 more deleted",
    }
    transaction {
        "a transfer: the conditions hold",
        "the same again: a condition fails",
        "  delete of 1 keys",
        "  within: the conditions hold",
        "held by that lease: true",
        "no such key: true",
    }
    keep_alive {
        "held to the end: true",
        "after 7 s of work the key is still there: true",
        "and gone with its lease: true",
        "registered again: true",
    }
    lease {
        "the lease holds [b\"lease/a\", b\"lease/b\"]",
        "it is revoked, and 0 of them are left",
        "renewed for 60 s",
        "too late to renew it",
        "expired, and its key: None",
    }
    presence {
        "present",
        "gone, and so is the key",
    }
    status {
        "0 alarms",
    }
    paging {
        "10000 keys written",
        "a later picture ends with Some(b\"paging/key/late\")",
        "10001 keys deleted",
    }
    watch {
        "at first: Put b\"watch/today/coffee\" = b\"hot\"",
        "one range more: Put b\"watch/tomorrow/tea\" = b\"green\"",
        "102 ranges",
        "without the first: Delete b\"watch/tomorrow/tea\" = b\"\"",
        "cancelled, and the connection closed",
        "before: Put b\"watch/log\" = b\"first\"",
        "after: Put b\"watch/log\" = b\"while nobody watched\"",
    }
    observe {
        "at first: b\"observe/config/color\" = b\"blue\"",
        "then: Put b\"observe/config/color\", before Some(b\"blue\")",
        "then: Delete b\"observe/config/color\", before Some(b\"green\")",
        "in memory: b\"observe/service/a\" = b\"10.0.0.1\"",
        "in memory: b\"observe/service/b\" = b\"10.0.0.2\"",
        "and after a deletion: 1 left",
        "nobody leads",
        "leads: b\"ada\"",
        "leads: b\"ada, with a plan\"",
    }
    core_by_hand {
        "b\"core_by_hand/greeting\" = b\"hello again\", written 2 times",
        "event: b\"hello\"",
        "event: b\"hello again\"",
        "as it should be: Some(KeyNotFound)",
        "1 key deleted",
    }
    own_transport {
        "3 keys read back",
        "3 x /v3/kv/put",
        "1 x /v3/kv/range",
    }
}

fn runs_and_says(name: &str, dialect: Dialect, lines: &[&str]) {
    for _ in 0..2 {
        let printed = stdout(name, &run(name, &[], dialect));
        for line in lines {
            assert!(
                printed.lines().any(|printed| printed == *line),
                "no {line:?} in\n{printed}"
            );
        }
        assert!(!printed.contains("unexpectedly"), "{printed}");
    }
    leaves_nothing(name, dialect);
}

fn any_runtime_prints_what_is_expected(dialect: Dialect) {
    const EXPECTED: &str = include_str!("../examples/any_runtime/expected.txt");
    for (option, runtime) in [
        ("tokio", "TokioRuntime"),
        ("async-std", "AsyncStdRuntime"),
        ("smol", "SmolRuntime"),
    ] {
        for _ in 0..2 {
            let output = run("any_runtime", &["--runtime", option], dialect);
            assert_eq!(stdout("any_runtime", &output), EXPECTED, "on {option}");
            // The client describes itself there: that it ran on the runtime asked for, not on another.
            let described = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(described.contains(&format!("runtime: {runtime}")), "{described}");
        }
    }
    leaves_nothing("any_runtime", dialect);
}

/// Only there does the server count nobody else's.
#[test]
fn watch_has_all_its_watches_on_one_stream_of_a_server_of_its_own() {
    for dialect in Dialect::ALL {
        let server = Server::start(dialect);
        let output = Command::new(executable("watch"))
            .env("ETCD_ENDPOINTS", server.client_url())
            .output()
            .unwrap();
        let printed = stdout("watch", &output);
        let counted = "the server counts 102 watches on 1 streams";
        assert!(printed.lines().any(|line| line == counted), "{printed}");
    }
}

#[test]
fn status_shows_every_endpoint_even_one_that_is_down() {
    // Port 9 is "discard"; nobody serves it here, and a refusal comes at once.
    let endpoints = format!("{},http://127.0.0.1:9", shared(Dialect::G2).client_url());
    let output = Command::new(executable("status"))
        .env("ETCD_ENDPOINTS", endpoints)
        .output()
        .unwrap();
    let printed = stdout("status", &output);
    assert!(printed.contains(": etcd 3."), "{printed}");
    assert!(printed.contains("http://127.0.0.1:9: "), "{printed}");
}

#[test]
fn without_endpoints_the_quickstart_runs_on_an_etcd_of_its_own() {
    let output = Command::new(executable("quickstart"))
        .env_remove("ETCD_ENDPOINTS")
        .output()
        .unwrap();
    let printed = stdout("quickstart", &output);
    assert!(
        printed.starts_with("on Tokio, with the embedded etcd"),
        "{printed}"
    );
    assert!(printed.ends_with("2 keys tidied up\n"), "{printed}");
}

#[test]
fn without_endpoints_observe_runs_on_an_etcd_of_its_own() {
    let output = Command::new(executable("observe"))
        .env_remove("ETCD_ENDPOINTS")
        .output()
        .unwrap();
    let printed = stdout("observe", &output);
    assert!(
        printed.ends_with("leads: b\"ada, with a plan\"\nnobody leads\n"),
        "{printed}"
    );
}

#[test]
fn without_endpoints_each_other_example_says_what_to_set() {
    let names = NAMES
        .iter()
        .filter(|name| !["quickstart", "observe"].contains(name));
    for name in names.chain(&["any_runtime"]) {
        let output = Command::new(executable(name))
            .env_remove("ETCD_ENDPOINTS")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("ETCD_ENDPOINTS=http://127.0.0.1:2379"),
            "{name}: {said}"
        );
    }
}

fn run(name: &str, args: &[&str], dialect: Dialect) -> Output {
    Command::new(executable(name))
        .args(args)
        .env("ETCD_ENDPOINTS", shared(dialect).client_url())
        .output()
        .unwrap()
}

/// What it printed, if it succeeded.
fn stdout(name: &str, output: &Output) -> String {
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name}: {}\n{printed}\n{said}",
        output.status
    );
    printed
}

/// Examples keep to keys that begin with their name.
fn leaves_nothing(name: &str, dialect: Dialect) {
    let left = shared(dialect).etcdctl(["get", "--prefix", "--keys-only", &format!("{name}/")]);
    assert!(left.status.success());
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "", "keys of {name}");
}

/// An example's executable. All are built once: `cargo test` builds them only if no test is chosen by name.
fn executable(name: &str) -> PathBuf {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        // Of the whole workspace, with all features, as the suites are: nothing is compiled anew for this.
        let output = Command::new(env!("CARGO"))
            .args([
                "build",
                "--workspace",
                "--all-features",
                "--examples",
                "--message-format=json",
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        messages
            .filter_map(|message| {
                let executable = message["executable"].as_str()?;
                Some((message["target"]["name"].as_str()?.to_owned(), executable.into()))
            })
            .collect()
    });
    built
        .get(name)
        .unwrap_or_else(|| panic!("no example {name} was built"))
        .clone()
}

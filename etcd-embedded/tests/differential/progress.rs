//! Which watches are told of progress when nothing happens. When they are is a matter of time, so not compared.

use std::collections::BTreeSet;
use std::time::Duration;

use etcd_core::codec::to_json;
use etcd_core::message::*;
use etcd_embedded::Config;
use serde_json::Value;

use super::Plan;
use super::http::{Arrival, OpenCall, PATIENCE};
use super::pair::{Ask, Pair};

const INTERVAL: Duration = Duration::from_millis(200);
/// What every watch that is ever told is told by the time that one has been told so often.
const TIMES: usize = 4;

pub fn compare(plan: Plan) {
    let config = Config::new().watch_progress_notify_interval(INTERVAL);
    let mut pair = Pair::start_with(
        plan,
        |builder| builder.watch_progress_notify_interval(INTERVAL),
        config,
    );
    for value in ["1", "2", "3"] {
        pair.ask(&Ask::of(&Put::new("k", value)));
    }
    let create = |id: i64| WatchCreate::new("k").watch_id(id);
    let mut messages: Vec<Watch> = vec![
        create(1).progress_notify().into(),
        create(2).into(),
        create(3).progress_notify().start_revision(2).into(),
        create(4).progress_notify().start_revision(100).into(),
        create(5).progress_notify().filter(WatchFilter::NoPut).into(),
        create(6).progress_notify().into(),
        WatchCancel::new(6).into(),
    ];
    let first = Ask::at("/v3/watch", &messages.remove(0));
    let mut there = OpenCall::begin(pair.server.client_addr(), &first);
    let here = pair.here.open(&first);
    for message in messages {
        there.say(&to_json(&message));
        pair.here.say(here, &to_json(&message));
    }

    let mut told_there = Told::default();
    while !told_there.is_complete || told_there.times(1) < TIMES {
        match there.arrivals.recv_timeout(PATIENCE).unwrap() {
            Arrival::Head(_) => {}
            Arrival::Data(data) => told_there.take(&data),
            Arrival::End => panic!("{}: the stream ended", pair.context()),
        }
    }
    pair.here.pass(INTERVAL * 2 * u32::try_from(TIMES).unwrap());
    let mut told_here = Told::default();
    told_here.take(&pair.here.take(here).1);
    let (there, here) = (told_there.of_what(), told_here.of_what());
    assert_eq!(there, here, "{}: watches and revisions", pair.context());
    pair.finish("progress");
}

/// What was said of progress: watches and revisions.
#[derive(Default)]
struct Told {
    all: Vec<(i64, i64)>,
    /// Whether all that was asked for before has been answered.
    is_complete: bool,
    rest: Vec<u8>,
}

impl Told {
    fn take(&mut self, data: &[u8]) {
        self.rest.extend_from_slice(data);
        if !self.rest.ends_with(b"\n") {
            return;
        }
        let data = std::mem::take(&mut self.rest);
        for line in serde_json::Deserializer::from_slice(&data).into_iter::<Value>() {
            let result = &line.unwrap()["result"];
            let number = |value: &Value| value.as_str().map_or(0, |text| text.parse().unwrap());
            // The last that was asked for: from here on, the watches are the ones compared.
            if result["canceled"] == true {
                self.is_complete = true;
                self.all.clear();
            }
            let says_nothing_else = ["created", "canceled", "events"]
                .iter()
                .all(|name| result[name].is_null());
            if says_nothing_else {
                self.all
                    .push((number(&result["watch_id"]), number(&result["header"]["revision"])));
            }
        }
    }

    fn times(&self, watch: i64) -> usize {
        self.all.iter().filter(|(told, _)| *told == watch).count()
    }

    fn of_what(&self) -> BTreeSet<(i64, i64)> {
        self.all.iter().copied().collect()
    }
}

//! A stream of watches on both sides, and what arrives on it.

use std::collections::BTreeMap;

use etcd_embedded::ExchangeId;
use serde_json::Value;

use super::http::{Arrival, OpenCall, PATIENCE};
use super::mask::mask;
use super::pair::{Ask, Pair};

pub struct Stream {
    /// The last message that was said on it.
    last: String,
    there: OpenCall,
    here: ExchangeId,
    /// What has arrived there and is not a whole line, and the items that were not compared yet.
    rest: Vec<u8>,
    items: Vec<Item>,
    status: u16,
    ended: bool,
}

/// Something about a watch: an event, or a message that says anything else.
type Item = (i64, Value);

impl Stream {
    pub fn open(pair: &mut Pair, ask_there: &Ask, ask_here: &Ask) -> Self {
        Self {
            last: ask_here.to_string(),
            there: OpenCall::begin(pair.server.client_addr(), ask_there),
            here: pair.here.open(ask_here),
            rest: Vec::new(),
            items: Vec::new(),
            status: 0,
            ended: false,
        }
    }

    pub fn say(&mut self, pair: &mut Pair, message: &[u8]) {
        self.last = message.escape_ascii().to_string().replace("\\\"", "\"");
        self.there.say(message);
        pair.here.say(self.here, message);
    }

    pub fn close(self, pair: &mut Pair) {
        pair.here.close(self.here);
    }

    /// Waits until as much has arrived there as here, and compares: for each watch, the same in the same order. Messages of
    /// different watches may come in any, and how events are put into messages is a matter of time. Whether the stream has
    /// ended is returned.
    pub fn compare(&mut self, pair: &mut Pair) -> bool {
        let (status, data, ended) = pair.here.take(self.here);
        let context = format!("{}, after {}", pair.context(), self.last);
        let here = items(&data);
        while self.items.len() < here.len() || ended && !self.ended {
            match self.there.arrivals.recv_timeout(PATIENCE) {
                Ok(Arrival::Head(status)) => self.status = status,
                Ok(Arrival::Data(data)) => {
                    self.rest.extend(data);
                    // A gateway 1.x does not end the line of an error.
                    if self.rest.ends_with(b"\n") || self.rest.starts_with(b"{\"error\"") {
                        self.items.extend(items(&std::mem::take(&mut self.rest)));
                    }
                }
                Ok(Arrival::End) if ended => self.ended = true,
                _ => panic!(
                    "{context}: no more came there than\n{:#?}\nand here came\n{here:#?}",
                    self.items
                ),
            }
        }
        if status != 0 && self.status != 0 {
            assert_eq!(self.status, status, "{context}");
        }
        let (there, here) = (by_watch(std::mem::take(&mut self.items)), by_watch(here));
        for (id, there) in &there {
            let here = here.get(id).map_or(&[][..], |items| items);
            for (position, there) in there.iter().enumerate() {
                assert_eq!(
                    Some(there),
                    here.get(position),
                    "{context}: item {position} of watch {id}"
                );
            }
        }
        assert_eq!(there, here, "{context}");
        ended
    }
}

fn by_watch(items: Vec<Item>) -> BTreeMap<i64, Vec<Value>> {
    let mut all: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for (id, item) in items {
        all.entry(id).or_default().push(item);
    }
    all
}

fn items(data: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    for line in serde_json::Deserializer::from_slice(data).into_iter::<Value>() {
        let mut line = line.unwrap_or_else(|error| panic!("{error} in {}", data.escape_ascii()));
        mask(&mut line);
        let id = line["result"]["watch_id"]
            .as_str()
            .map_or(0, |id| id.parse().unwrap());
        match line["result"]["events"].take() {
            Value::Array(events) => {
                let count = events.len();
                items.extend(events.into_iter().map(|event| (id, event)));
                if line["result"]["fragment"] == true {
                    items.push((id, Value::from(format!("a fragment of {count} events"))));
                }
            }
            _ => items.push((id, line)),
        }
    }
    items
}

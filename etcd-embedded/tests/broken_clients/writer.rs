//! A writer by hand, right or wrong.

use std::time::Duration;

use etcd_core::key::KeyRange;
use etcd_core::message::{Delete, Put, Txn, TxnOpResponse, TxnResponse};
use etcd_core::runtime::Runtime as _;
use etcd_guarantees::{Recorder, WriteRecorder};

use super::client::{Failure, RawClient};
use super::dice::Dice;

/// What is wrong with a writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteBug {
    #[default]
    None,
    /// Whatever fails is sent again.
    RetriesBlindly,
}

pub struct Writer {
    pub name: String,
    pub client: RawClient,
    pub bug: WriteBug,
    pub recorder: Recorder,
    pub dice: Dice,
}

/// How often a write is sent at most.
const ATTEMPTS: usize = 5;

/// The keys that all write; each has a value of its own for everything that anyone writes.
const KEYS: [&str; 4] = ["w/a", "w/b", "w/c", "w/d"];

impl Writer {
    pub async fn run(mut self, writes: usize) {
        for number in 0..writes {
            let value = format!("{}.{number}", self.name);
            match self.dice.below(8) {
                0 => self.delete(&value).await,
                1 | 2 => self.put_two(&value).await,
                _ => self.put(&value).await,
            }
            let pause = Duration::from_micros(self.dice.below(300_000));
            self.client.sleep(pause).await;
        }
    }

    async fn put(&mut self, value: &str) {
        let put = Put::new(self.key(), value);
        let record = self.recorder.write(self.client.runtime.now(), value, [&put]);
        let result = self.send(async |client| client.call(&put).await).await;
        self.tell(record, result.map(|answer| (answer.header.revision, true)));
    }

    async fn delete(&mut self, name: &str) {
        let delete = Delete::new(self.key());
        let record = self.recorder.write(self.client.runtime.now(), name, [&delete]);
        let result = self.send(async |client| client.call(&delete).await).await;
        self.tell(
            record,
            result.map(|answer| (answer.header.revision, answer.deleted > 0)),
        );
    }

    /// Two keys in one revision, one of which may be deleted.
    async fn put_two(&mut self, value: &str) {
        let (first, second) = (self.key(), self.key());
        let txn = Txn::new().then([Put::new(first, value)]);
        let txn = if first == second {
            txn
        } else if self.dice.below(2) == 0 {
            txn.then([Put::new(second, value)])
        } else {
            txn.then([Delete::new(KeyRange::single(second))])
        };
        let record = self.recorder.txn(self.client.runtime.now(), value, &txn);
        let result = self.send(async |client| client.call(&txn).await).await;
        self.tell(
            record,
            result.map(|answer| (answer.header.revision, changed(&answer))),
        );
    }

    /// Sends a write until it is answered or, rightly, until it may have been acted on.
    async fn send<T>(&mut self, call: impl AsyncFn(&RawClient) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut worst = Failure::NotSent;
        for _ in 0..ATTEMPTS {
            match call(&self.client).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Unknown) if self.bug == WriteBug::None => return Err(Failure::Unknown),
                Err(Failure::Unknown) => worst = Failure::Unknown,
                Err(Failure::NotSent) => {}
            }
            self.client.move_on();
        }
        Err(worst)
    }

    fn tell(&self, record: WriteRecorder, result: Result<(i64, bool), Failure>) {
        let now = self.client.runtime.now();
        match result {
            Ok((revision, true)) => record.applied(now, revision),
            Ok((revision, false)) => record.unchanged(now, revision),
            Err(Failure::NotSent) => record.not_applied(now),
            Err(Failure::Unknown) => record.unknown(now),
        }
    }

    fn key(&mut self) -> &'static str {
        KEYS[usize::try_from(self.dice.below(KEYS.len() as u64)).unwrap()]
    }
}

fn changed(answer: &TxnResponse) -> bool {
    answer.responses.iter().any(|response| match response {
        TxnOpResponse::Put(_) => true,
        TxnOpResponse::Delete(delete) => delete.deleted > 0,
        _ => false,
    })
}

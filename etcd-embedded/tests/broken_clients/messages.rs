//! The messages of a watch's stream, read rightly or wrongly.

use std::collections::VecDeque;

use etcd_core::frame::LineFramer;
use etcd_core::gateway;
use etcd_core::message::{Watch, WatchCreate, WatchResponse};
use etcd_core::transport::BodyFrame;

use super::client::{OpenStream, RawClient};

pub struct Messages {
    client: RawClient,
    stream: OpenStream,
    framer: LineFramer,
    takes_chunks_for_lines: bool,
    read: VecDeque<WatchResponse>,
    is_over: bool,
}

impl Messages {
    /// Opens a stream for one watch.
    pub async fn open(client: &RawClient, create: WatchCreate) -> Option<Self> {
        let stream = client.open(&create.into()).await.ok()?;
        Some(Self {
            client: client.clone(),
            stream,
            framer: LineFramer::new(),
            takes_chunks_for_lines: false,
            read: VecDeque::new(),
            is_over: false,
        })
    }

    /// Takes what arrives at once for whole lines, and leaves out what cannot be read.
    pub fn taking_chunks_for_lines(mut self) -> Self {
        self.takes_chunks_for_lines = true;
        self
    }

    /// The next message; `None` when the stream ends, falls silent or makes no sense.
    pub async fn next(&mut self) -> Option<WatchResponse> {
        while self.read.is_empty() && !self.is_over {
            let frame = self.client.within_patience(self.stream.body.next_frame()).await;
            let Some(Some(Ok(BodyFrame::Data(chunk)))) = frame else {
                return None;
            };
            if self.takes_chunks_for_lines {
                let pieces = chunk.split(|byte| *byte == b'\n');
                let messages = pieces.filter_map(|piece| gateway::stream_message::<Watch>(piece).ok());
                self.read.extend(messages);
                continue;
            }
            self.framer.handle_chunk(chunk);
            while let Some(line) = self.framer.poll_line() {
                let message = line
                    .map_err(drop)
                    .and_then(|line| gateway::stream_message::<Watch>(&line).map_err(drop));
                let Ok(message) = message else {
                    self.is_over = true;
                    break;
                };
                self.read.push_back(message);
            }
        }
        self.read.pop_front()
    }
}

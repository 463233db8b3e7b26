//! The messages of a stream, from the pieces its body arrives in.

use std::marker::PhantomData;

use bytes::Bytes;

use super::ahead::{Ahead, LONG_LINE};
use super::line;
use crate::error::ErrorKind;
use crate::frame::{DEFAULT_MAX_LINE, LineFramer};
use crate::rpc::Request;

/// Decodes the messages that answer a stream of `R`.
///
/// What comes out is what [`stream_message`](super::stream_message) makes of each line that a [`LineFramer`] finds, with the same
/// errors. But of a long line with the events of a watch, the events are decoded while it arrives, and the line is not held: memory
/// is taken by events, not by their JSON, and no more than a moment passes from the line's end to its message. The message comes
/// when its line has ended, whole, or not at all.
///
/// It is driven as a framer is: after each piece, and after the end, [`poll_message`](Self::poll_message) until it returns `None`.
///
/// ```
/// use bytes::Bytes;
/// use etcd_core::gateway::StreamDecoder;
/// use etcd_core::message::Watch;
///
/// let mut decoder = StreamDecoder::<Watch>::new();
/// decoder.handle_chunk(Bytes::from_static(b"{\"result\":{\"watch_id\":\"7\",\"crea"));
/// assert!(decoder.poll_message().is_none()); // more is needed
///
/// decoder.handle_chunk(Bytes::from_static(b"ted\":true}}\n"));
/// let message = decoder.poll_message().unwrap()?;
/// assert_eq!((message.watch_id, message.created), (7, true));
/// # Ok::<(), etcd_core::error::ErrorKind>(())
/// ```
#[derive(Debug)]
pub struct StreamDecoder<R: Request> {
    framer: LineFramer,
    /// What was decoded of the line that is arriving, if it is long.
    ahead: Option<Box<Ahead<R::Response>>>,
    long_line: usize,
    answers: PhantomData<fn() -> R>,
}

impl<R: Request> StreamDecoder<R> {
    /// A decoder that takes lines of up to [`DEFAULT_MAX_LINE`] bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_line(DEFAULT_MAX_LINE)
    }

    /// A decoder that takes lines of up to `max_line` bytes, their end not counted.
    #[must_use]
    pub fn with_max_line(max_line: usize) -> Self {
        Self::with_long_line(max_line, LONG_LINE)
    }

    fn with_long_line(max_line: usize, long_line: usize) -> Self {
        Self {
            framer: LineFramer::with_max_line(max_line),
            ahead: None,
            long_line,
            answers: PhantomData,
        }
    }

    /// Takes the next piece of the body.
    pub fn handle_chunk(&mut self, chunk: Bytes) {
        self.framer.handle_chunk(chunk);
    }

    /// Takes note that the body ended, and ended well.
    pub fn handle_end(&mut self) {
        self.framer.handle_end();
    }

    /// The next message.
    ///
    /// `None` means that its line is not complete, or, after [`handle_end`](Self::handle_end) or a line that is too long or cut
    /// off, that there is none.
    ///
    /// # Errors
    ///
    /// The server's error, [`ProtocolError`](crate::error::ProtocolError) if a line is neither a message nor an error or the
    /// body ended within it, or [`ErrorKind::ResponseTooLarge`] as soon as more than the limit has arrived of a line.
    #[must_use = "messages that are not taken are lost"]
    pub fn poll_message(&mut self) -> Option<Result<R::Response, ErrorKind>> {
        if let Some(line) = self.framer.poll_line() {
            let cut = self.ahead.take().and_then(|ahead| ahead.finish());
            let message = line
                .map_err(ErrorKind::from)
                .and_then(|line| line::decode::<R>(&line, cut));
            return Some(message);
        }
        self.decode_ahead();
        None
    }

    fn decode_ahead(&mut self) {
        let line = self.framer.partial();
        if line.len() < self.long_line {
            return;
        }
        if self.ahead.is_none() {
            self.ahead = Ahead::new(self.long_line).map(Box::new);
        }
        if let Some(ahead) = &mut self.ahead
            && let Some(range) = ahead.handle_partial(line)
        {
            self.framer.cut(range);
        }
    }
}

impl<R: Request> Default for StreamDecoder<R> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;

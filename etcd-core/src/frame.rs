//! Splits the body of a stream into lines: the gateway sends one JSON object per line.
//!
//! The network cuts a body anywhere: within a line, within a character, between a line of megabytes and the
//! one byte that ends it. [`LineFramer`] gives the same lines however it was cut.
//!
//! # States
//!
//! ```text
//!             handle_chunk
//!               ┌─────┐
//!               ▼     │        handle_end                      poll_line: the tail, if there is one
//!   new ─────▶ Open ──┴──────────────────────▶ Ending ────────────────────────────────────────────▶ Done
//!               │                                │                a JSON object: it is the last line
//!               │ a line exceeds max_line        │                anything else: Truncated
//!               └───────────────┬────────────────┘
//!                               ▼  poll_line: LineTooLong, once
//!                              Done
//! ```
//!
//! In `Done` there is nothing more to come, and what is still fed is dropped.
//!
//! # Driving it
//!
//! 1. Feed each piece of the body to [`handle_chunk`](LineFramer::handle_chunk), and its clean end to
//!    [`handle_end`](LineFramer::handle_end). A body that breaks off is the transport's error, not an end.
//! 2. After each of these, call [`poll_line`](LineFramer::poll_line) until it returns `None`.
//!
//! # Cost
//!
//! Each byte is searched for a line's end once. A line that lies within one chunk, or is one chunk, is a slice
//! of it; one that lies in several is copied into one buffer of its own, which grows by doubling, is handed
//! out with the line, and leaves nothing behind.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use serde::de::IgnoredAny;

use crate::error::{Error, ErrorKind, ProtocolError};

/// The longest line that is taken by default: 256 MiB.
///
/// A server puts the whole catch-up of a watch into one line: 200,000 events of 128 bytes make 55 MB. A limit of
/// 4 MiB, gRPC's default, breaks such watches; Go's client allows 2 GiB (`client/v3/options.go`). This
/// is room for almost a million such events, and less than what makes a small machine swap.
pub const DEFAULT_MAX_LINE: usize = 256 * 1024 * 1024;

/// Why a body cannot be split further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A line is longer than the limit.
    #[error("a line of the stream is longer than the limit of {limit} bytes")]
    LineTooLong {
        /// The limit.
        limit: usize,
    },
    /// The body ended in the middle of a line.
    #[error("the stream ended in the middle of a line")]
    Truncated,
}

/// Splits the body of a stream into lines.
///
/// ```
/// use bytes::Bytes;
/// use etcd_core::frame::LineFramer;
///
/// let mut framer = LineFramer::new();
/// framer.handle_chunk(Bytes::from_static(b"{\"result\":1}\n{\"resu"));
/// assert_eq!(framer.poll_line(), Some(Ok(Bytes::from_static(b"{\"result\":1}"))));
/// assert_eq!(framer.poll_line(), None); // more is needed
///
/// framer.handle_chunk(Bytes::from_static(b"lt\":2}\n{\"error\":{}}"));
/// assert_eq!(framer.poll_line(), Some(Ok(Bytes::from_static(b"{\"result\":2}"))));
/// assert_eq!(framer.poll_line(), None);
///
/// framer.handle_end(); // some gateways end their last line with the body
/// assert_eq!(framer.poll_line(), Some(Ok(Bytes::from_static(b"{\"error\":{}}"))));
/// assert_eq!(framer.poll_line(), None);
/// ```
#[derive(Debug)]
pub struct LineFramer {
    state: State,
    /// Not yet searched, in order, none of them empty.
    chunks: VecDeque<Bytes>,
    /// The line that has begun: searched, without an end in it.
    partial: Partial,
    max_line: usize,
    #[cfg(test)]
    searched: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ending,
    Done,
}

impl LineFramer {
    /// A framer that takes lines of up to [`DEFAULT_MAX_LINE`] bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_max_line(DEFAULT_MAX_LINE)
    }

    /// A framer that takes lines of up to `max_line` bytes, their end not counted.
    #[must_use]
    pub fn with_max_line(max_line: usize) -> Self {
        Self {
            state: State::Open,
            chunks: VecDeque::new(),
            partial: Partial::default(),
            max_line,
            #[cfg(test)]
            searched: 0,
        }
    }

    /// Takes the next piece of the body.
    pub fn handle_chunk(&mut self, chunk: Bytes) {
        if self.state == State::Open && !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// Takes note that the body ended, and ended well.
    pub fn handle_end(&mut self) {
        if self.state == State::Open {
            self.state = State::Ending;
        }
    }

    /// The next line, without what ends it (`\n` or `\r\n`); never an empty one.
    ///
    /// `None` means that the next line is not complete, or, after [`handle_end`](Self::handle_end) or an error,
    /// that there is none.
    ///
    /// # Errors
    ///
    /// [`FrameError::LineTooLong`] as soon as more than the limit has arrived of a line, even if its end has not;
    /// [`FrameError::Truncated`] if the body ended in a line that is not a complete JSON object. Either
    /// comes once and is the last thing to come.
    #[must_use = "lines that are not taken are lost"]
    pub fn poll_line(&mut self) -> Option<Result<Bytes, FrameError>> {
        while let Some(mut chunk) = self.chunks.pop_front() {
            let end = memchr(b'\n', &chunk);
            #[cfg(test)]
            {
                self.searched += end.map_or(chunk.len(), |end| end + 1);
            }
            let piece = chunk.split_to(end.unwrap_or(chunk.len()));
            if piece.len() > self.max_line - self.partial.arrived() {
                let limit = self.max_line;
                return self.fail(FrameError::LineTooLong { limit });
            }
            self.partial.push(piece);
            if end.is_some() {
                chunk.advance(1);
                if !chunk.is_empty() {
                    self.chunks.push_front(chunk);
                }
                let line = without_carriage_return(self.partial.take());
                if !line.is_empty() {
                    return Some(Ok(line));
                }
            }
        }
        if self.state == State::Ending {
            self.state = State::Done;
            return self.take_tail();
        }
        None
    }

    /// The bytes held for lines that have not been taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.partial.len() + self.chunks.iter().map(Bytes::len).sum::<usize>()
    }

    /// What is held of the line that has begun: all that has come of it, but for what was [cut out](Self::cut).
    pub(crate) fn partial(&self) -> &[u8] {
        self.partial.held()
    }

    /// Takes bytes out of the line that has begun: it will be handed out without them. They count for the limit.
    pub(crate) fn cut(&mut self, range: Range<usize>) {
        self.partial.cut(range);
    }

    fn take_tail(&mut self) -> Option<Result<Bytes, FrameError>> {
        let tail = without_carriage_return(self.partial.take());
        if tail.is_empty() {
            None
        } else if is_object(&tail) {
            Some(Ok(tail))
        } else {
            Some(Err(FrameError::Truncated))
        }
    }

    fn fail(&mut self, error: FrameError) -> Option<Result<Bytes, FrameError>> {
        self.state = State::Done;
        self.chunks = VecDeque::new();
        self.partial = Partial::default();
        Some(Err(error))
    }
}

impl Default for LineFramer {
    fn default() -> Self {
        Self::new()
    }
}

/// A line in the making. Its first piece is kept as it is, since most lines have no second.
#[derive(Debug, Default)]
struct Partial {
    first: Bytes,
    joined: BytesMut,
    /// How many bytes were cut out.
    cut: usize,
}

impl Partial {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// How long the line is so far.
    fn arrived(&self) -> usize {
        self.len() + self.cut
    }

    fn held(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.first
        } else {
            &self.joined
        }
    }

    fn cut(&mut self, range: Range<usize>) {
        self.cut += range.len();
        if self.joined.is_empty() {
            let first = std::mem::take(&mut self.first);
            self.joined.reserve(first.len() - range.len());
            self.joined.extend_from_slice(&first[..range.start]);
            self.joined.extend_from_slice(&first[range.end..]);
        } else {
            let rest = self.joined.len() - range.len();
            self.joined.copy_within(range.end.., range.start);
            self.joined.truncate(rest);
        }
    }

    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(self.first.len() + piece.len());
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&piece);
    }

    fn take(&mut self) -> Bytes {
        self.cut = 0;
        if self.joined.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            // Takes the buffer along: after a huge line nothing of its size stays.
            std::mem::take(&mut self.joined).freeze()
        }
    }
}

fn without_carriage_return(mut line: Bytes) -> Bytes {
    if line.last() == Some(&b'\r') {
        line.truncate(line.len() - 1);
    }
    line
}

/// Whether a tail is a whole line that merely lacks its end. No proper prefix of an object is an object.
fn is_object(tail: &[u8]) -> bool {
    tail.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(tail).is_ok()
}

impl From<FrameError> for ErrorKind {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::LineTooLong { limit } => Self::ResponseTooLarge { limit },
            FrameError::Truncated => Self::Protocol(ProtocolError::Truncated),
        }
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        ErrorKind::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(framer: &mut LineFramer) -> Vec<Bytes> {
        std::iter::from_fn(|| framer.poll_line())
            .map(Result::unwrap)
            .collect()
    }

    /// Whether `inner` lies in the memory of `outer`.
    fn is_slice_of(inner: &Bytes, outer: &Bytes) -> bool {
        outer.as_ptr_range().contains(&inner.as_ptr())
    }

    #[test]
    fn each_byte_is_searched_once_however_the_body_is_cut() {
        let body = "{\"result\":{}}\n\r\n{\"a\":\"long enough to span several chunks\"}\n\n{}".repeat(50);
        for size in [1, 2, 3, 7, 64, 1000, body.len()] {
            let mut framer = LineFramer::new();
            for chunk in body.as_bytes().chunks(size) {
                framer.handle_chunk(Bytes::copy_from_slice(chunk));
                lines(&mut framer);
            }
            framer.handle_end();
            lines(&mut framer);
            assert_eq!(framer.searched, body.len(), "chunks of {size}");
        }
    }

    #[test]
    fn a_line_within_a_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from_static(b"{\"a\":1}\n{\"b\":2}\r\n");
        let mut framer = LineFramer::new();
        framer.handle_chunk(chunk.clone());
        let lines = lines(&mut framer);
        assert_eq!(lines, ["{\"a\":1}", "{\"b\":2}"]);
        assert!(lines.iter().all(|line| is_slice_of(line, &chunk)));
    }

    #[test]
    fn a_line_whose_end_comes_as_a_chunk_of_its_own_is_not_copied() {
        let big = Bytes::from(vec![b'x'; 1 << 20]);
        let mut framer = LineFramer::new();
        framer.handle_chunk(big.clone());
        assert_eq!(framer.poll_line(), None);
        framer.handle_chunk(Bytes::from_static(b"\n"));
        let line = framer.poll_line().unwrap().unwrap();
        assert_eq!(line.as_ptr_range(), big.as_ptr_range());
    }

    #[test]
    fn joining_many_chunks_reallocates_a_logarithmic_number_of_times() {
        let mut framer = LineFramer::new();
        let (mut capacity, mut growths) = (0, 0);
        for _ in 0..100_000 {
            framer.handle_chunk(Bytes::from_static(b"0123456789"));
            assert_eq!(framer.poll_line(), None);
            if framer.partial.joined.capacity() > capacity {
                capacity = framer.partial.joined.capacity();
                growths += 1;
            }
        }
        assert!(growths <= 20, "{growths} growths for 1 MB"); // log2(1 MB)
        assert!(capacity <= 2 * framer.partial.len(), "{capacity}");
    }

    #[test]
    fn nothing_is_kept_of_a_line_that_was_handed_out() {
        let mut framer = LineFramer::new();
        for _ in 0..100 {
            framer.handle_chunk(Bytes::from(vec![b'x'; 10_000]));
            assert_eq!(framer.poll_line(), None);
        }
        assert_eq!(framer.buffered(), 1_000_000);
        framer.handle_chunk(Bytes::from_static(b"\n"));
        assert_eq!(framer.poll_line().unwrap().unwrap().len(), 1_000_000);
        assert_eq!(framer.buffered(), 0);
        assert_eq!(framer.partial.joined.capacity(), 0);
    }

    #[test]
    fn nothing_is_kept_after_an_error() {
        let mut framer = LineFramer::with_max_line(10);
        framer.handle_chunk(Bytes::from_static(b"01234567"));
        assert_eq!(framer.poll_line(), None);
        framer.handle_chunk(Bytes::from_static(b"8901\n{}\n"));
        framer.handle_chunk(Bytes::from_static(b"{}\n"));
        assert_eq!(
            framer.poll_line(),
            Some(Err(FrameError::LineTooLong { limit: 10 }))
        );
        assert_eq!((framer.poll_line(), framer.buffered()), (None, 0));
        framer.handle_chunk(Bytes::from_static(b"{}\n"));
        framer.handle_end();
        assert_eq!((framer.poll_line(), framer.buffered()), (None, 0));
    }
}

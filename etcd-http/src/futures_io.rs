//! From the I/O traits of `futures-io` to those of hyper.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

/// The first reads take this much: hyper's own first step, and room for any ordinary answer.
const FIRST_READ: usize = 8 * 1024;

/// Reads grow up to this while they fill their buffer; beyond it the system call no longer weighs.
const MAX_READ: usize = 64 * 1024;

/// Lends hyper's I/O traits to a stream with those of `futures-io`, as async-std's and smol's are.
///
/// hyper hands out uninitialized memory, `AsyncRead` wants it filled. Rather than overwrite hyper's whole buffer
/// with zeros at each attempt to read, this keeps a buffer of its own and copies what has really arrived.
pub struct FuturesIo<T> {
    io: T,
    buffer: Box<[u8]>,
}

impl<T> FuturesIo<T> {
    /// Wraps `io`.
    pub fn new(io: T) -> Self {
        Self {
            io,
            buffer: vec![0; FIRST_READ].into(),
        }
    }
}

impl<T: AsyncRead + Unpin> Read for FuturesIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let room = into.remaining().min(this.buffer.len());
        let read = ready!(Pin::new(&mut this.io).poll_read(cx, &mut this.buffer[..room]))?;
        into.put_slice(&this.buffer[..read]);
        if read == this.buffer.len() && read < MAX_READ {
            this.buffer = vec![0; read * 2].into();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Write for FuturesIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

impl<T: fmt::Debug> fmt::Debug for FuturesIo<T> {
    // The buffer holds what was read last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FuturesIo").field(&self.io).finish()
    }
}

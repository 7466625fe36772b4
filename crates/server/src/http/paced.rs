//! A socket whose peer must take what is sent to it.
//!
//! Who asks for a file and then stops reading would keep it open, with a connection, for as long as they like.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// See the module.
pub(super) struct Paced<S> {
    stream: S,
    idle: Duration,
    /// Cleared for a socket that somebody else has taken over and looks after.
    applies: Arc<AtomicBool>,
    /// Runs while nothing can be written.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, idle: Duration, applies: Arc<AtomicBool>) -> Self {
        Self { stream, idle, applies, stuck: None }
    }

    /// Passes on how writing went; an error once it has not moved for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() || !self.applies.load(Ordering::Relaxed) {
            self.stuck = None;
            return written;
        }
        let idle = self.idle;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(stuck.as_mut().poll(cx));
        stuck.as_mut().reset(Instant::now() + idle);
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn who_takes_nothing_is_given_up_and_who_takes_a_little_now_and_then_is_not() {
        let (mut reader, writer) = duplex(16);
        let mut writer = Paced::new(writer, IDLE, Arc::new(AtomicBool::new(true)));
        let began = Instant::now();
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 8];
            for _ in 0..4 {
                sleep(IDLE / 2).await;
                reader.read_exact(&mut bytes).await.unwrap();
            }
            reader
        });
        let error = writer.write_all(&[0; 1_000]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= IDLE * 3, "not before it stopped");
        drop(reading.await.unwrap());
    }

    #[tokio::test]
    async fn a_socket_that_was_taken_over_is_let_be() {
        let (_reader, writer) = duplex(16);
        let mut writer = Paced::new(writer, Duration::ZERO, Arc::new(AtomicBool::new(false)));
        let waiting = tokio::time::timeout(IDLE, writer.write_all(&[0; 1_000])).await;
        assert!(waiting.is_err(), "it still waits");
    }
}

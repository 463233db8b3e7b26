//! One exchange: from the HTTP engine to the gateway and back.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use etcd_core::transport::{BodyFrame, TransportError};
use futures_core::Stream as _;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderMap, Request, Response, Version};
use http_body::{Body, Frame};
use hyper::body::Incoming as Upload;

use crate::EmbeddedTransport;
use crate::transport::Incoming as Answer;

/// Answers `request`: the future ends with the head, the body has the rest.
pub(super) async fn answer(
    transport: EmbeddedTransport,
    request: Request<Upload>,
) -> Result<Response<Exchange>, Broken> {
    let (parts, upload) = request.into_parts();
    let is_held_back = is_held_back(parts.version, &parts.headers);
    let mut exchange = Exchange {
        answer: transport.begin(&Request::from_parts(parts, ())),
        upload: Some(upload),
    };
    let head = poll_fn(|cx| exchange.poll_head(cx, is_held_back)).await?;
    Ok(head.map(|()| exchange))
}

/// Whether Go's HTTP server would read a request to its end before it sends anything: it does unless the connection
/// closes after the answer, or the client waits to be told to go on (`writeHeader` and `closeAfterReply` in
/// `net/http/server.go`; measured on etcd's servers of all dialects).
fn is_held_back(version: Version, headers: &HeaderMap) -> bool {
    let closes = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("close"));
    version == Version::HTTP_11 && !closes && !headers.contains_key(EXPECT)
}

/// An exchange under way. As the body of its response, it takes the rest of the request at the same time.
///
/// Dropping it, as the HTTP engine does when a client goes away, ends what it had begun.
pub(super) struct Exchange {
    answer: Answer,
    /// What is still to come of the request; `None` after its end.
    upload: Option<Upload>,
}

/// The connection broke.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the client broke off its request")]
    Upload(#[source] hyper::Error),
    #[error("the server broke off its answer")]
    Answer(#[source] TransportError),
}

impl Exchange {
    fn poll_head(&mut self, cx: &mut Context<'_>, is_held_back: bool) -> Poll<Result<Response<()>, Broken>> {
        let upload = self.poll_upload(cx)?;
        if is_held_back {
            ready!(upload);
        }
        self.answer.poll_head(cx).map(Ok)
    }

    /// Hands on what has come of the request; ready at its end.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while let Some(upload) = &mut self.upload {
            match ready!(Pin::new(upload).poll_frame(cx)) {
                Some(frame) => {
                    // Trailers mean nothing here.
                    if let Ok(data) = frame.map_err(Broken::Upload)?.into_data() {
                        self.answer.feed(&data);
                    }
                }
                None => {
                    self.upload = None;
                    self.answer.feed_end();
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Body for Exchange {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Poll::Ready(Err(broken)) = self.poll_upload(cx) {
            return Poll::Ready(Some(Err(broken)));
        }
        let frame = ready!(Pin::new(&mut self.answer).poll_next(cx));
        Poll::Ready(frame.map(|frame| match frame {
            Ok(BodyFrame::Data(data)) => Ok(Frame::data(data)),
            Ok(BodyFrame::Trailers(trailers)) => Ok(Frame::trailers(trailers)),
            Ok(_) => Ok(Frame::data(Bytes::new())),
            Err(error) => Err(Broken::Answer(error)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_is_held_back_unless_the_connection_closes_or_the_client_waits() {
        let with = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert!(is_held_back(Version::HTTP_11, &HeaderMap::new()));
        assert!(is_held_back(Version::HTTP_11, &with(CONNECTION, "keep-alive")));
        assert!(!is_held_back(Version::HTTP_11, &with(CONNECTION, "TE, Close")));
        assert!(!is_held_back(Version::HTTP_11, &with(EXPECT, "100-continue")));
        assert!(!is_held_back(Version::HTTP_10, &HeaderMap::new()));
    }
}

//! Splitting a large message.

use etcd_core::message::WatchResponse;

use crate::protobuf::{delimited, event_size, watch_frame_size};

/// Splits a message at `limit` bytes of protobuf; a single event is never split. All pieces but the last say that more
/// follows.
pub(super) fn fragments(mut message: WatchResponse, limit: usize) -> Vec<WatchResponse> {
    let sizes: Vec<_> = message
        .events
        .iter()
        .map(|event| delimited(event_size(event)))
        .collect();
    let frame = watch_frame_size(&message);
    if frame + sizes.iter().sum::<usize>() < limit || sizes.len() < 2 {
        return vec![message];
    }
    let events = std::mem::take(&mut message.events);
    // A piece carries the flag that says so, which the server counts in.
    let frame = frame + 2;
    let mut pieces: Vec<WatchResponse> = Vec::new();
    let mut size = frame;
    for (event, event_size) in events.into_iter().zip(sizes) {
        match pieces.last_mut() {
            Some(piece) if size + event_size < limit => piece.events.push(event),
            _ => {
                let mut piece = message.clone();
                piece.events.push(event);
                pieces.push(piece);
                size = frame;
            }
        }
        size += event_size;
    }
    let last = pieces.len().saturating_sub(1);
    for piece in &mut pieces[..last] {
        piece.fragment = true;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use etcd_core::message::Event;

    use super::*;

    fn message(values: &[usize]) -> WatchResponse {
        let mut message = WatchResponse::default();
        for size in values {
            let mut event = Event::default();
            event.kv.value = vec![b'x'; *size].into();
            message.events.push(event);
        }
        message
    }

    fn shape(pieces: &[WatchResponse]) -> Vec<(usize, bool)> {
        pieces
            .iter()
            .map(|piece| (piece.events.len(), piece.fragment))
            .collect()
    }

    #[test]
    fn a_small_message_stays_whole() {
        assert_eq!(shape(&fragments(message(&[10, 10]), 1000)), [(2, false)]);
        assert_eq!(shape(&fragments(message(&[5000]), 1000)), [(1, false)]);
    }

    #[test]
    fn a_large_one_is_split_between_events_and_only_the_last_piece_ends_it() {
        assert_eq!(
            shape(&fragments(message(&[400, 400, 400]), 1000)),
            [(2, true), (1, false)]
        );
        assert_eq!(
            shape(&fragments(message(&[2000, 2000]), 1000)),
            [(1, true), (1, false)]
        );
    }
}

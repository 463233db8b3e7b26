//! Where a network cuts bytes.

use bytes::{Bytes, BytesMut};

use crate::random::Random;

/// From this length on, the gateway writes the line and its end apart (seen on every dialect).
const LONG_LINE_BYTES: usize = 2048;

/// More than this is not cut into single bytes, which would only take time.
const MAX_SINGLE_BYTES: usize = 512;

/// Cuts lines as the gateway writes them.
pub(super) fn as_written(lines: Vec<Bytes>) -> Vec<Bytes> {
    let mut pieces = Vec::with_capacity(lines.len());
    for mut line in lines {
        if line.len() > LONG_LINE_BYTES && line.ends_with(b"\n") {
            let end = line.split_off(line.len() - 1);
            pieces.extend([line, end]);
        } else {
            pieces.push(line);
        }
    }
    pieces
}

/// Cuts the same bytes in some other way: all in one piece, anywhere, or into single bytes.
pub(super) fn anyhow(random: &mut Random, pieces: Vec<Bytes>) -> Vec<Bytes> {
    let whole = joined(pieces);
    match random.below(4) {
        0 => vec![whole],
        1 if whole.len() <= MAX_SINGLE_BYTES => (0..whole.len()).map(|at| whole.slice(at..=at)).collect(),
        _ => {
            let count = 1 + random.index(4);
            let mut cuts: Vec<_> = (0..count).map(|_| random.index(whole.len() + 1)).collect();
            cuts.push(whole.len());
            cuts.sort_unstable();
            let mut start = 0;
            let mut pieces = Vec::with_capacity(cuts.len());
            for cut in cuts {
                if cut > start {
                    pieces.push(whole.slice(start..cut));
                    start = cut;
                }
            }
            pieces
        }
    }
}

/// The first bytes of it, some of the last piece possibly.
pub(super) fn beginning(random: &mut Random, pieces: Vec<Bytes>) -> Vec<Bytes> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let mut left = random.index(length.max(1));
    let mut kept = Vec::new();
    for mut piece in pieces {
        piece.truncate(left);
        left -= piece.len();
        if !piece.is_empty() {
            kept.push(piece);
        }
    }
    kept
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_keeps_every_byte() {
        let lines = || {
            vec![
                Bytes::from_static("{\"größe\":1}\n".as_bytes()),
                Bytes::from_static(b"{}\n"),
            ]
        };
        let mut shapes = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let pieces = anyhow(&mut Random::new(seed), lines());
            shapes.insert(pieces.iter().map(Bytes::len).collect::<Vec<_>>());
            assert_eq!(pieces.concat(), lines().concat());
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
            let beginning = beginning(&mut Random::new(seed), lines()).concat();
            assert!(beginning.len() < lines().concat().len() && lines().concat().starts_with(&beginning));
        }
        assert!(shapes.len() > 20, "{shapes:?}");
        assert!(shapes.contains(&vec![1; lines().concat().len()]));
        assert!(shapes.contains(&vec![lines().concat().len()]));
    }

    #[test]
    fn the_end_of_a_long_line_comes_by_itself() {
        let mut long = vec![b'x'; 3000];
        long.push(b'\n');
        let pieces = as_written(vec![Bytes::from_static(b"{}\n"), long.into()]);
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [3, 3000, 1]);
    }
}

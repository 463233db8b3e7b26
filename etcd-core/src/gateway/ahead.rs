//! Decodes the elements of a long line's list while the line arrives.
//!
//! A server puts the whole catch-up of a watch into one line. Held until it ends, it would be in memory beside all that is decoded
//! from it, and nothing would be decoded while the network is waited for. So of a line that has got long, elements are decoded as
//! they become complete, and cut out of it. What stays, the *skeleton*, is a line of its own with everything but these elements, and
//! goes through the same decoder as any other line. The list's first element is decoded but stays: it holds the place.
//!
//! ```text
//!   {"result":{"header":{…},"events":[ {first} ,{…},{…},{…} ,{…},{… ──▶ more arrives
//!   └─────────── skeleton ───────────────────┘└── cut out ──┘└──┘
//! ```
//!
//! # States
//!
//! ```text
//!            the scanner finds the list            its first element is complete
//!   Seeking ────────────────────────────▶ Listing ───────────────────────────────▶ Cutting ──┐
//!                                                                                       ▲    │ more elements are
//!                                                                                       └────┘ complete
//! ```
//!
//! # Why nothing is different for it
//!
//! An element is cut out only if it was decoded, and then with the comma before it: the skeleton is valid where the line is, and
//! the decoder finds what is wrong with the line at the same place in the skeleton. Whatever does not decode stays where it is and is
//! left to the decoder of the whole. Should another list or another `result` follow, which counts then, what was decoded is
//! dropped.

use std::ops::Range;

use super::scanner::Scanner;
use crate::codec::{Arena, Left, Message, append_element};

/// A line is long from this length on, and its elements are decoded whenever as much has come again.
///
/// Keys and values that are decoded together share memory, so that one that is kept keeps about as much as this.
pub(super) const LONG_LINE: usize = 128 * 1024;

/// The elements that were decoded of the line that is arriving.
#[derive(Debug)]
pub(super) struct Ahead<M> {
    state: State,
    /// It has nothing but the list.
    elements: M,
    /// What the next elements go on with.
    left: Left,
    /// How many bytes were cut out.
    cut: usize,
    long_line: usize,
    /// The length of what has come at which it is worth a look.
    next_look: usize,
}

#[derive(Clone, Debug)]
enum State {
    Seeking(Scanner),
    /// The first element may begin here.
    Listing(Scanner, usize),
    /// The first element ends here, and others were cut out.
    Cutting(Scanner, usize),
}

/// What became of a line that has ended.
#[derive(Debug)]
pub(super) struct Cut<M> {
    scanner: Scanner,
    at: usize,
    length: usize,
    left: Left,
    elements: M,
}

impl<M: Message> Ahead<M> {
    /// `None` for messages that have no list that could be long.
    pub(super) fn new(long_line: usize) -> Option<Self> {
        let list = M::LONG_LIST?;
        Some(Self {
            state: State::Seeking(Scanner::new(list)),
            elements: M::default(),
            left: Left::default(),
            cut: 0,
            long_line,
            next_look: 0,
        })
    }

    /// Decodes what is complete in `line`, which has not ended: what there was, without what was cut out, and what has come
    /// since. Tells what is to be cut out.
    pub(super) fn handle_partial(&mut self, line: &[u8]) -> Option<Range<usize>> {
        if line.len() < self.next_look {
            return None;
        }
        let cut = self.decode(line);
        let rest = line.len() - cut.as_ref().map_or(0, ExactSizeIterator::len);
        // What was looked at in vain, such as the beginning of a large element, is not looked at again for each piece that comes.
        self.next_look = (2 * rest).max(self.long_line);
        cut
    }

    fn decode(&mut self, line: &[u8]) -> Option<Range<usize>> {
        let arena = Arena::going_on(line, line.len() + self.cut, std::mem::take(&mut self.left));
        if let State::Seeking(scanner) = &mut self.state
            && let Some(at) = scanner.find_list(line)
        {
            self.state = State::Listing(scanner.clone(), at);
        }
        if let State::Listing(scanner, at) = &self.state
            && let Some(end) = arena.uncounted(|| append_after(*at, line, &mut self.elements, &arena))
        {
            self.state = State::Cutting(scanner.clone(), end);
        }
        let mut cut = None;
        if let State::Cutting(_, at) = self.state {
            let mut end = at;
            while let Some(comma) = comma_after(end, line)
                && let Some(next) = append_after(comma, line, &mut self.elements, &arena)
            {
                end = next;
            }
            self.cut += end - at;
            cut = (end > at).then_some(at..end);
        }
        self.left = arena.into_left();
        cut
    }

    /// The line has ended: what was cut out of it, if anything was.
    pub(super) fn finish(self) -> Option<Cut<M>> {
        match self.state {
            State::Cutting(scanner, at) if self.cut > 0 => Some(Cut {
                scanner,
                at,
                length: self.cut,
                left: self.left,
                elements: self.elements,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
impl<M> Ahead<M> {
    pub(super) fn cut(&self) -> usize {
        self.cut
    }

    pub(super) fn next_look(&self) -> usize {
        self.next_look
    }
}

impl<M: Message> Cut<M> {
    /// How many bytes it was.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// What decoding the skeleton goes on with: both together may take as much memory as the whole.
    pub(super) fn take_left(&mut self) -> Left {
        std::mem::take(&mut self.left)
    }

    /// Where in the line a byte of the skeleton is; both are counted from 1.
    pub(super) fn column_in_line(&self, column: usize) -> usize {
        if column > self.at {
            column + self.length
        } else {
            column
        }
    }

    /// Puts what was cut out into the message that the skeleton is, unless that has another list.
    pub(super) fn put_back(mut self, message: &mut M, skeleton: &[u8]) {
        if !self.scanner.is_replaced(skeleton) {
            message.replace_first_element(self.elements);
        }
    }
}

/// Decodes the element that comes after a bracket or a comma, and tells where it ends.
fn append_after<M: Message>(at: usize, line: &[u8], elements: &mut M, arena: &Arena<'_>) -> Option<usize> {
    let length = append_element(elements, &line[at..], arena)?;
    Some(at + length)
}

/// Where a comma ends that comes next.
fn comma_after(at: usize, line: &[u8]) -> Option<usize> {
    let rest = &line[at..];
    let spaces = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
        .count();
    (rest.get(spaces) == Some(&b',')).then_some(at + spaces + 1)
}

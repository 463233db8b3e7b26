//! Finds a list in a line that is still arriving.
//!
//! It looks for the member `result` of the line and for one member of that, a list, and reads no more of JSON than that takes:
//! strings, because they may hold anything, nesting, and the names before colons. Whether the line is valid is not its concern.
//! Of a line that is not, what it says means nothing, and the decoder, which reads the same bytes, refuses the line.
//!
//! ```text
//!            quote                 backslash
//!        ┌───────────▶            ┌───────────▶
//!   Between          InString ────┤            Escaped
//!        ◀───────────┘    ▲       └─── any byte ──┐
//!            quote        └───────────────────────┘
//!
//!   Between: { [ one level deeper, } ] one up, a colon makes a name of the last string
//! ```

use std::ops::Range;

/// Reads a line, as far as it has come, once.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    list: &'static str,
    state: State,
    /// How many bytes were read.
    position: usize,
    depth: usize,
    /// The last string, without its quotes.
    string: Range<usize>,
    is_in_result: bool,
    /// Whether what comes next is the value of the list's member.
    is_value: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    InString,
    Escaped,
}

/// Something that matters for which list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// A member `result`, or one of the list's name in it. Of several of one name the last one counts.
    Member,
    /// The list begins.
    List,
}

impl Scanner {
    /// One that looks for the list `result` has under this name.
    pub(super) fn new(list: &'static str) -> Self {
        Self {
            list,
            state: State::Between,
            position: 0,
            depth: 0,
            string: 0..0,
            is_in_result: false,
            is_value: false,
        }
    }

    /// Where the next list's first element may begin; `None` as long as there is none. `line` is what there was before, and
    /// what has come since.
    pub(super) fn find_list(&mut self, line: &[u8]) -> Option<usize> {
        while let Some(found) = self.next(line) {
            if found == Found::List {
                return Some(self.position);
            }
        }
        None
    }

    /// Whether `line`, now whole and valid, says after the list that was found last that something else counts.
    pub(super) fn is_replaced(&mut self, line: &[u8]) -> bool {
        self.next(line).is_some()
    }

    fn next(&mut self, line: &[u8]) -> Option<Found> {
        while let Some(&byte) = line.get(self.position) {
            let at = self.position;
            self.position += 1;
            match self.state {
                State::Between => {
                    let found = self.read(byte, line);
                    if found.is_some() {
                        return found;
                    }
                }
                State::InString => match byte {
                    b'"' => {
                        self.string.end = at;
                        self.state = State::Between;
                    }
                    b'\\' => self.state = State::Escaped,
                    _ => {}
                },
                State::Escaped => self.state = State::InString,
            }
        }
        None
    }

    /// Reads a byte that is in no string.
    fn read(&mut self, byte: u8, line: &[u8]) -> Option<Found> {
        if matches!(byte, b' ' | b'\t' | b'\r') {
            return None;
        }
        let is_value = std::mem::take(&mut self.is_value);
        match byte {
            b'"' => {
                self.string = self.position..self.position;
                self.state = State::InString;
            }
            b'{' | b'[' => {
                self.depth += 1;
                if is_value && byte == b'[' {
                    return Some(Found::List);
                }
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 1 => {
                self.is_in_result = self.is_name("result", line);
                return self.is_in_result.then_some(Found::Member);
            }
            b':' if self.depth == 2 && self.is_in_result => {
                self.is_value = self.is_name(self.list, line);
                return self.is_value.then_some(Found::Member);
            }
            _ => {}
        }
        None
    }

    fn is_name(&self, name: &str, line: &[u8]) -> bool {
        let text = &line[self.string.clone()];
        if !text.contains(&b'\\') {
            return text == name.as_bytes();
        }
        let quoted = &line[self.string.start - 1..self.string.end + 1];
        serde_json::from_slice::<String>(quoted).is_ok_and(|text| text == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where lists begin, and whether something else counts after the last of them.
    fn lists(line: &str) -> (Vec<usize>, bool) {
        let mut scanner = Scanner::new("events");
        let mut lists = Vec::new();
        let mut after_last = scanner.clone();
        while let Some(at) = scanner.find_list(line.as_bytes()) {
            lists.push(at);
            after_last = scanner.clone();
        }
        (lists, after_last.is_replaced(line.as_bytes()))
    }

    #[test]
    fn a_list_is_found_by_its_path_and_in_no_other_place() {
        for line in [
            r#"{"result":{"events":[^{},{}]}}"#,
            r#" { "result" : { "header":{"events":[1]}, "x":["events"], "events"	: [^ ] } } "#,
            r#"{"events":[{}],"x":{"events":[{}]},"result":{"events":[^]}}"#,
            r#"{"\"result":{"events":[{}]},"x":"\\","r\u0065sult":{"\u0065vents":[^{}]}}"#,
            r#"{"x":"{\"result\":{\"events\":[","result":{"x":"]}}","events":[^"#,
        ] {
            let at = line.find('^').unwrap();
            assert_eq!(lists(&line.replace('^', "")), (vec![at], false), "{line}");
        }
        for line in [
            "",
            r#"{"result":[{"events":[{}]}]}"#,
            r#"{"result":{"events":{"events":[{}]}}}"#,
            r#"{"result":{"x":"events","y":[{}]}}"#,
            r#"{"result":{"Events":[{}],"events ":[{}],"\u0000events":[{}]}}"#,
            r#"[{"result":{"events":[{}]}}]"#,
        ] {
            assert!(lists(line).0.is_empty(), "{line}");
        }
    }

    #[test]
    fn what_comes_later_counts() {
        for line in [
            r#"{"result":{"events":[{}],"events":null}}"#,
            r#"{"result":{"events":[{}],"event\u0073":{}}}"#,
            r#"{"result":{"events":[{}]},"result":null}"#,
        ] {
            assert_eq!(lists(line), (vec![line.find('[').unwrap() + 1], true), "{line}");
        }
        let twice = r#"{"result":{"events":[],"events":[{}]},"x":{"events":[{}]},"y":{"result":0}}"#;
        assert_eq!(lists(twice), (vec![21, 33], false));
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_a_line_comes() {
        let line = br#"{"a\"":"\\","resul\u0074":{"x":{"y":["z"]},"events" : [{}]}}"#;
        let whole = Scanner::new("events").find_list(line);
        assert!(whole.is_some());
        let mut scanner = Scanner::new("events");
        let found = (0..line.len()).find_map(|length| scanner.find_list(&line[..length]));
        assert_eq!(found, whole);
    }
}

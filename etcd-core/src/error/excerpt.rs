//! Text from outside, made fit for a message.

/// At most `limit` characters of `text`, on one line, with nothing in it that acts on a terminal.
///
/// What was cut off leaves an ellipsis; what is not UTF-8, a replacement character.
pub(super) fn excerpt(text: &[u8], limit: usize) -> String {
    // No character takes more than four bytes, and no more than these are looked at.
    let head = &text[..text.len().min(limit.saturating_add(1).saturating_mul(4))];
    let head = String::from_utf8_lossy(head);
    let mut excerpt = String::new();
    for (index, character) in head.trim().chars().enumerate() {
        if index == limit {
            excerpt.push('…');
            break;
        }
        if is_hostile(character) {
            excerpt.extend(character.escape_default());
        } else {
            excerpt.push(character);
        }
    }
    excerpt
}

/// Control characters, and those that reorder or hide the text around them.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_kept_as_it_is() {
        assert_eq!(excerpt(b"", 3), "");
        assert_eq!(excerpt(b"404 page not found\n", 200), "404 page not found");
        assert_eq!(excerpt("größer".as_bytes(), 6), "größer");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(excerpt("größer".as_bytes(), 5), "größe…");
        assert_eq!(excerpt("😀😀😀😀".as_bytes(), 2), "😀😀…");
        assert_eq!(excerpt(&vec![b'x'; 1 << 20], 200).chars().count(), 201);
    }

    #[test]
    fn what_acts_on_a_terminal_is_escaped() {
        assert_eq!(excerpt(b"a\r\nb\x1b[31mc\0", 99), "a\\r\\nb\\u{1b}[31mc\\u{0}");
        assert_eq!(excerpt("a\u{202e}b".as_bytes(), 99), "a\\u{202e}b");
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        assert_eq!(excerpt(b"\xff\xfe", 99), "\u{fffd}\u{fffd}");
    }
}

//! What a server or a file says, as it may be shown on a terminal and kept.

/// So many characters of a text at most, and none that controls a terminal or turns what stands around it.
pub(crate) fn printable(text: &str, chars_max: usize) -> String {
    let mut shown: String = text.chars().take(chars_max).map(harmless).collect();
    if text.chars().nth(chars_max).is_some() {
        shown.push('…');
    }
    shown
}

/// The same of a text of several lines, whatever its length.
pub(crate) fn printable_lines(text: &str) -> String {
    text.chars().map(|letter| if letter == '\n' { letter } else { harmless(letter) }).collect()
}

fn harmless(letter: char) -> char {
    let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if letter.is_control() || turns { '\u{fffd}' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_harmless_stays() {
        assert_eq!(printable("rate_limited: Füße, 你好", 100), "rate_limited: Füße, 你好");
    }

    #[test]
    fn what_controls_a_terminal_goes() {
        assert_eq!(printable("\x1b[2J\r\n\u{9b}31m", 100), "�[2J���31m");
        assert_eq!(printable_lines("a\x1b[2J\nb\rc"), "a�[2J\nb�c");
        assert_eq!(printable("a\u{202e}b\u{200b}c", 100), "a�b�c");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(printable("äöü", 3), "äöü");
        assert_eq!(printable("äöüß", 3), "äöü…");
    }
}

//! Lines of parts of a text, for readers whose parser hands out borrowed slices of its input.
//!
//! A borrowed slice knows where it stands: its address less the text's address. So one table of line starts gives the
//! line of every key and value that the parser did not have to unescape, without a second pass over the text.

use crate::model::Lines;

/// Lines of the slices of one text.
pub struct Slices<'a> {
    text: &'a str,
    lines: Lines,
}

impl<'a> Slices<'a> {
    /// Indexes a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, lines: Lines::new(text) }
    }

    /// Line of a slice of the text, 0 for a string from elsewhere.
    pub fn of(&self, part: &str) -> u32 {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if offset <= self.text.len() { self.lines.of(offset) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_know_their_line() {
        let text = "a\nbc\n\nd";
        let lines = Slices::new(text);
        assert_eq!(lines.of(&text[2..4]), 2);
        assert_eq!(lines.of(&text[6..]), 4);
    }

    #[test]
    fn strings_from_elsewhere_have_no_line() {
        let text = String::from("x\ny");
        let other = String::from("y");
        let lines = Slices::new(&text);
        assert_eq!(lines.of(&other), 0);
    }
}

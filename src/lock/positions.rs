//! Lines of parts of a text, for readers whose parser hands out borrowed slices of its input.
//!
//! A borrowed slice knows where it stands: its address less the text's address. So one table of line starts gives the
//! line of every key and value that the parser did not have to unescape, without a second pass over the text.

use std::borrow::Cow;

/// Where the lines of a text start.
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<u32>,
}

impl<'a> Lines<'a> {
    /// Indexes a text. Offsets beyond 4 GiB all count as the last indexed line.
    pub fn new(text: &'a str) -> Self {
        let newlines =
            text.bytes().enumerate().filter(|&(_, b)| b == b'\n').map_while(|(i, _)| u32::try_from(i + 1).ok());
        Self { text, starts: newlines.collect() }
    }

    /// Line (from 1) of a byte offset.
    pub fn at(&self, offset: usize) -> u32 {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        u32::try_from(self.starts.partition_point(|&start| start <= offset)).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Line of a slice of the text, 0 for a string from elsewhere.
    pub fn of(&self, part: &str) -> u32 {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if offset <= self.text.len() { self.at(offset) } else { 0 }
    }

    /// Line of a parsed string, 0 when the parser had to copy it.
    pub fn of_cow(&self, part: &Cow<'_, str>) -> u32 {
        match part {
            Cow::Borrowed(part) => self.of(part),
            Cow::Owned(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_know_their_line() {
        let text = "a\nbc\n\nd";
        let lines = Lines::new(text);
        assert_eq!([0, 1, 2, 4, 5, 6, 7].map(|i| lines.at(i)), [1, 1, 2, 2, 3, 4, 4]);
        assert_eq!(lines.of(&text[2..4]), 2);
        assert_eq!(lines.of(&text[6..]), 4);
    }

    #[test]
    fn strings_from_elsewhere_have_no_line() {
        let text = String::from("x\ny");
        let other = String::from("y");
        let lines = Lines::new(&text);
        assert_eq!(lines.of(&other), 0);
        assert_eq!(lines.of_cow(&Cow::Owned("y".into())), 0);
    }
}

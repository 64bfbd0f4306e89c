//! Byte offsets to line numbers.

/// Where the lines of a text begin. `\n`, `\r\n` and a lone `\r` end a line, as in both Python and JavaScript.
#[derive(Debug)]
pub struct Lines {
    starts: Vec<u32>,
}

impl Lines {
    /// Finds the lines of a text; offsets beyond 4 GiB all count as the last line.
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            if bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n') {
                starts.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
            }
        }
        Self { starts }
    }

    /// The line, from 1, that holds a byte offset.
    pub fn of(&self, offset: usize) -> u32 {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        u32::try_from(self.starts.partition_point(|&start| start <= offset)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn all_three_line_ends_count_once() {
        let lines = Lines::new("a\nb\r\nc\rd");
        assert_eq!([0, 1, 2, 4, 5, 7, 8].map(|at| lines.of(at)), [1, 1, 2, 2, 3, 4, 4]);
    }
}

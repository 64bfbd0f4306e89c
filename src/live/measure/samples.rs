//! Finished repetitions, each a file that is written whole or not at all: whoever is killed goes on after the last.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One repetition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Load average before it.
    pub load: f64,
    /// Share of the processors' time that other guests took meanwhile.
    pub stolen: f64,
    /// What the probe answered.
    pub answer: Value,
}

/// A folder of samples.
#[derive(Debug)]
pub struct Samples {
    root: PathBuf,
}

impl Samples {
    /// Those of a folder, which need not be there.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    fn path(&self, key: &str, mode: &str, number: usize) -> PathBuf {
        self.root.join(key).join(format!("{mode}-{number}.json"))
    }

    /// A finished repetition.
    pub fn get(&self, key: &str, mode: &str, number: usize) -> Option<Sample> {
        serde_json::from_slice(&fs::read(self.path(key, mode, number)).ok()?).ok()
    }

    /// Keeps one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, key: &str, mode: &str, number: usize, sample: &Sample) -> io::Result<()> {
        let path = self.path(key, mode, number);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, sample)?;
        file.flush()?;
        file.persist(&path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let samples = Samples::new(dir.path());
        let sample = Sample { load: 0.5, stolen: 0.0, answer: serde_json::json!({"cpu": 1}) };
        assert_eq!(samples.get("k", "trace", 0), None);
        samples.put("k", "trace", 0, &sample).unwrap();
        assert_eq!(samples.get("k", "trace", 0), Some(sample));
        let path = dir.path().join("k/trace-0.json");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap();
        assert_eq!(samples.get("k", "trace", 0), None);
    }
}

//! Zip archives as folders: what a build packs and a provider unpacks.
//!
//! Listing reads the central directory only; a file is decompressed into memory when it is read, and nothing is ever
//! written. Entries that no packer should write (outside the archive, twice, encrypted, links) are left out and named.
//! Archives inside archives are files like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use zip::ZipArchive;

use crate::model::support::{Area, Extent, Support};
use crate::model::{Code, codes};

/// What is read of it.
pub const SUPPORT: Support = Support {
    area: Area::Declaration,
    what: "zip archives",
    files: "*.zip that holds sources, named by a declaration or with a handler at its top",
    extent: Extent::Partly,
    note: "read as the folder that they unpack to, `dist-info` and `node_modules` in them as the lock; not encrypted files, archives inside, or templates inside",
};

/// Largest archive that is opened: AWS Lambda takes 250 MB unpacked.
pub const MAX_BYTES: u64 = 256_000_000;
/// Most entries of one archive.
const MAX_ENTRIES: u64 = 100_000;
/// Largest central directory.
const MAX_DIRECTORY: u64 = 32_000_000;
/// Bytes that all entries may come to.
const MAX_UNPACKED: u64 = 2_000_000_000;
/// A file above a megabyte that expands more than this is no source.
const MAX_RATIO: u64 = 200;
/// Entries of one archive that are named one by one as left out.
const MAX_NAMED: usize = 10;

/// What went wrong, and with which entry.
pub type Complaint = (Code, String);

/// An open archive.
#[derive(Debug)]
pub struct Archive {
    zip: ZipArchive<Source>,
    entries: BTreeMap<String, (usize, u64)>,
}

/// Where an archive's bytes are.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In a file.
    Disk(PathBuf),
    /// In memory.
    Memory(Arc<[u8]>),
}

impl Archive {
    /// Lists an archive.
    ///
    /// # Errors
    /// When it is no archive, or holds more than is read.
    pub fn open(bytes: Bytes) -> Result<(Self, Vec<Complaint>), Complaint> {
        let invalid = |e: &dyn std::fmt::Display| (codes::ARCHIVE_INVALID, format!("not a zip archive: {}", said(e)));
        let mut source = Source::new(bytes).map_err(|e| invalid(&e.kind()))?;
        let (count, directory) =
            end_record(&mut source).map_err(|e| invalid(&e.kind()))?.ok_or_else(|| invalid(&"it has no end record"))?;
        if count > MAX_ENTRIES || directory > MAX_DIRECTORY {
            return Err((codes::ARCHIVE_EXPANDS, format!("it holds {count} entries, more than {MAX_ENTRIES}")));
        }
        let zip = ZipArchive::new(source).map_err(|e| invalid(&e))?;
        let mut complaints = Vec::new();
        if zip.len() as u64 != count {
            complaints.push((codes::ARCHIVE_UNSAFE, "it holds entries with the same name; the last one counts".into()));
        }
        if zip.len() as u64 > MAX_ENTRIES {
            return Err((codes::ARCHIVE_EXPANDS, format!("it holds more than {MAX_ENTRIES} entries")));
        }
        let mut entries = BTreeMap::new();
        let mut twice = BTreeSet::new();
        let mut left = Vec::new();
        let mut total = 0u64;
        for at in 0..zip.len() {
            let Ok(entry) = zip.by_index_data(at) else { continue };
            let Ok(name) = entry.name() else {
                left.push("an entry whose name is no text".to_string());
                continue;
            };
            let shown: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).take(80).collect();
            if entry.is_dir() || name.ends_with('/') {
                continue;
            }
            let Some(path) = inside(&name) else {
                left.push(format!("`{shown}` lies outside the archive"));
                continue;
            };
            if entry.encrypted() {
                left.push(format!("`{shown}` is encrypted"));
                continue;
            }
            if entry.is_symlink() {
                left.push(format!("`{shown}` is a link"));
                continue;
            }
            let size = entry.size();
            total = total.saturating_add(size);
            if size > 1_000_000 && size / MAX_RATIO > entry.compressed_size() {
                complaints.push((codes::ARCHIVE_EXPANDS, format!("`{shown}` expands to {size} bytes")));
                continue;
            }
            if entries.insert(path.clone(), (at, size)).is_some() {
                twice.insert(path);
            }
        }
        if total > MAX_UNPACKED {
            return Err((codes::ARCHIVE_EXPANDS, format!("it expands to {total} bytes")));
        }
        left.extend(twice.into_iter().map(|path| format!("`{path}` is there twice; the last one counts")));
        complaints.truncate(MAX_NAMED);
        let more = left.len().saturating_sub(MAX_NAMED);
        complaints.extend(left.into_iter().take(MAX_NAMED).map(|reason| (codes::ARCHIVE_UNSAFE, reason)));
        if more > 0 {
            complaints.push((codes::ARCHIVE_UNSAFE, format!("{more} more entries were left out")));
        }
        Ok((Self { zip, entries }, complaints))
    }

    /// Files with their sizes, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().map(|(path, (_, size))| (path.as_str(), *size))
    }

    /// The bytes of a file, at most `limit` of them.
    ///
    /// # Errors
    /// When it is absent, broken (a wrong checksum among others), or larger than it says.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, String> {
        let (at, size) = self.entries.get(path).ok_or("no such file")?;
        // Shares the directory; opens the file anew.
        let mut zip = self.zip.clone();
        let file = zip.by_index(*at).map_err(|e| format!("broken in its archive: {}", said(&e)))?;
        let most = (*size).min(limit);
        let mut bytes = Vec::with_capacity(usize::try_from(most.min(1 << 20)).unwrap_or(0));
        file.take(most + 1).read_to_end(&mut bytes).map_err(|e| format!("broken in its archive: {}", said(&e)))?;
        if bytes.len() as u64 != *size {
            return Err(format!("broken in its archive: it is not {size} bytes long"));
        }
        Ok(bytes)
    }
}

/// A library's words on one line.
fn said(error: &dyn std::fmt::Display) -> String {
    let text: String = error.to_string().chars().filter(|c| !c.is_control()).take(120).collect();
    text.to_lowercase()
}

/// A name as a path below the archive; `None` for what would leave it on any system.
fn inside(name: &str) -> Option<String> {
    if name.contains(['\0', '\n']) || name.starts_with(['/', '\\']) || name.len() > 4_096 {
        return None;
    }
    // Some packers on Windows write backslashes.
    let name = name.replace('\\', "/");
    let drive = name.as_bytes().get(1) == Some(&b':');
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!drive && !parts.is_empty() && parts.len() <= 64 && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// Entries and bytes of the central directory as the end record says, that of zip64 where there is one (APPNOTE 4.3.14
/// to 4.3.16). The library reads the whole directory at once, so that this has to be asked before.
fn end_record(source: &mut Source) -> io::Result<Option<(u64, u64)>> {
    let length = source.seek(SeekFrom::End(0))?;
    let tail = length.min(65_557 + 20);
    source.seek(SeekFrom::Start(length - tail))?;
    let mut bytes = vec![0; usize::try_from(tail).unwrap_or(0)];
    source.read_exact(&mut bytes)?;
    let short = |at: usize| bytes.get(at..at + 2).map(|b| u64::from(u16::from_le_bytes([b[0], b[1]])));
    let word = |at: usize| bytes.get(at..at + 4).map(|b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    let Some(at) = (0..bytes.len().saturating_sub(21)).rev().find(|&at| bytes[at..].starts_with(b"PK\x05\x06")) else {
        return Ok(None);
    };
    let (Some(count), Some(size), Some(offset)) = (short(at + 10), word(at + 12), word(at + 16)) else {
        return Ok(None);
    };
    let is_64 = count == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF;
    let locator = at.checked_sub(20).filter(|&l| is_64 && bytes[l..].starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else { return Ok(Some((count, size))) };
    let long = |bytes: &[u8], at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let Some(start) = long(&bytes, locator + 8) else { return Ok(None) };
    let mut record = [0; 56];
    source.seek(SeekFrom::Start(start))?;
    source.read_exact(&mut record)?;
    Ok(long(&record, 32).zip(long(&record, 40)).filter(|_| record.starts_with(b"PK\x06\x06")))
}

/// A reader that costs nothing while nobody reads: its file is open during a read only, so that a fleet of archives
/// needs no more handles than threads.
#[derive(Debug)]
struct Source {
    bytes: Bytes,
    length: u64,
    at: u64,
    file: Option<File>,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl Source {
    fn new(bytes: Bytes) -> io::Result<Self> {
        let length = match &bytes {
            Bytes::Disk(path) => std::fs::metadata(path)?.len(),
            Bytes::Memory(bytes) => bytes.len() as u64,
        };
        Ok(Self { bytes, length, at: 0, file: None, buffer: Vec::new(), buffer_at: 0 })
    }

    /// Fills the buffer from the present place.
    fn fill(&mut self) -> io::Result<()> {
        const BLOCK: u64 = 64 * 1024;
        self.buffer.clear();
        self.buffer_at = self.at;
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let from = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                let to = from.saturating_add(BLOCK as usize).min(bytes.len());
                self.buffer.extend_from_slice(&bytes[from..to]);
            }
            Bytes::Disk(path) => {
                let file = match &mut self.file {
                    Some(file) => file,
                    none => none.insert(File::open(path)?),
                };
                file.seek(SeekFrom::Start(self.at))?;
                file.take(BLOCK).read_to_end(&mut self.buffer)?;
            }
        }
        Ok(())
    }
}

impl Clone for Source {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), length: self.length, at: 0, file: None, buffer: Vec::new(), buffer_at: 0 }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let held = |s: &Self| s.at.checked_sub(s.buffer_at).filter(|&o| o < s.buffer.len() as u64);
        if held(self).is_none() {
            self.fill()?;
        }
        let from = held(self).map_or(self.buffer.len(), |o| usize::try_from(o).unwrap_or(usize::MAX));
        let rest = self.buffer.get(from..).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests;

//! The folder of `--cache`: results of earlier scans in a few packs.
//!
//! A pack is written once, under another name, and renamed when it is whole; nothing is ever changed in it. So runs at the
//! same time do not disturb each other, and the folder can be deleted at any moment. What cannot be read counts as absent.
//!
//! It stays bounded: when there are more than [`PACKS`] packs or [`LARGEST`] bytes, one pack is written of the entries that were used
//! within [`DAYS`] days, the latest used first, up to half of [`LARGEST`].

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::resolve::{Key, Store};

/// First bytes of a pack.
const MAGIC: &[u8; 16] = b"warmset-cache 1\n";
/// Packs that may lie there at the end of a run.
const PACKS: usize = 8;
/// Bytes that they may take.
const LARGEST: u64 = 2_000_000_000;
/// An entry that was not used for so long is dropped.
const DAYS: u32 = 30;
/// Key, length, day of last use, first bytes of the hash of what follows.
const HEAD: usize = 32 + 4 + 4 + 8;

/// A folder of results.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    /// Results of another build are not found: it may read more.
    build: Vec<u8>,
    packs: Vec<Pack>,
    entries: HashMap<Key, Entry>,
    used: Mutex<HashSet<Key>>,
    new: Mutex<Option<BufWriter<File>>>,
    temporary: PathBuf,
    today: u32,
}

#[derive(Debug)]
struct Pack {
    path: PathBuf,
    file: Mutex<File>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    pack: usize,
    at: u64,
    len: u32,
    day: u32,
    check: [u8; 8],
}

impl Cache {
    /// Reads which results a folder holds; it is made if it is not there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let today = u32::try_from(now.as_secs() / 86_400).unwrap_or(u32::MAX);
        let name = format!("{:x}-{:x}", now.as_nanos(), std::process::id());
        let mut cache = Self {
            folder: folder.to_path_buf(),
            build: build(),
            packs: Vec::new(),
            entries: HashMap::new(),
            used: Mutex::default(),
            new: Mutex::default(),
            temporary: folder.join(format!("{name}.new")),
            today,
        };
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(|e| e.to_str()) {
                Some("pack") => drop(cache.index(&path)),
                // Left by a run that was killed: no run takes a day.
                Some("new") if age(&path).is_some_and(|age| age > Duration::from_secs(86_400)) => {
                    drop(fs::remove_file(&path));
                }
                _ => {}
            }
        }
        Ok(cache)
    }

    /// Lists the entries of a pack; it ends where they make no sense.
    fn index(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let modified = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let used = u32::try_from(modified.as_secs() / 86_400).unwrap_or(0);
        let mut input = BufReader::new(file);
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        let pack = self.packs.len();
        let mut at = MAGIC.len() as u64;
        let mut head = [0; HEAD];
        while magic == *MAGIC && input.read_exact(&mut head).is_ok() {
            at += HEAD as u64;
            let Some((key, mut entry)) = parse_head(&head) else { break };
            if at + u64::from(entry.len) > meta.len() || input.seek_relative(i64::from(entry.len)).is_err() {
                break;
            }
            (entry.pack, entry.at, entry.day) = (pack, at, entry.day.max(used));
            self.entries.insert(key, entry);
            at += u64::from(entry.len);
        }
        let file = Mutex::new(input.into_inner());
        self.packs.push(Pack { path: path.to_path_buf(), file, bytes: meta.len() });
        Ok(())
    }

    fn full(&self, key: &Key) -> Key {
        let mut hash = Sha256::new();
        hash.update(&self.build);
        hash.update(key);
        hash.finalize().into()
    }

    fn load(&self, entry: &Entry) -> Option<Vec<u8>> {
        let mut bytes = vec![0; entry.len as usize];
        let mut file = self.packs.get(entry.pack)?.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(entry.at)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        drop(file);
        (check(&bytes) == entry.check).then_some(bytes)
    }

    /// Keeps what is new, and notes what was used.
    pub fn close(self) -> io::Result<()> {
        let new = self.new.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut bytes: u64 = self.packs.iter().map(|p| p.bytes).sum();
        let mut count = self.packs.len();
        if let Some(new) = new {
            let file = new.into_inner().map_err(io::IntoInnerError::into_error)?;
            bytes += file.metadata()?.len();
            count += 1;
            fs::rename(&self.temporary, self.temporary.with_extension("pack"))?;
        }
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if count > PACKS || bytes > LARGEST {
            return self.compact(&used);
        }
        let serving: HashSet<usize> = used.iter().filter_map(|k| Some(self.entries.get(k)?.pack)).collect();
        for pack in serving.into_iter().filter_map(|at| self.packs.get(at)) {
            let file = pack.file.lock().unwrap_or_else(PoisonError::into_inner);
            // Only the day counts; a folder that may not be written to keeps serving.
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(())
    }

    /// One pack of what is alive in the packs that this run found, and those go.
    fn compact(&self, used: &HashSet<Key>) -> io::Result<()> {
        let mut alive: Vec<(Key, Entry)> = self
            .entries
            .iter()
            .map(|(key, entry)| {
                (*key, Entry { day: if used.contains(key) { self.today } else { entry.day }, ..*entry })
            })
            .filter(|(_, entry)| entry.day.saturating_add(DAYS) >= self.today)
            .collect();
        alive.sort_by_key(|(key, entry)| (std::cmp::Reverse(entry.day), *key));
        let temporary = self.temporary.with_extension("all.new");
        let mut out = BufWriter::with_capacity(1 << 18, File::create(&temporary)?);
        out.write_all(MAGIC)?;
        let mut total = 0;
        for (key, entry) in alive {
            total += u64::from(entry.len) + HEAD as u64;
            if total > LARGEST / 2 {
                break;
            }
            if let Some(bytes) = self.load(&entry) {
                write_entry(&mut out, &key, entry.day, &bytes)?;
            }
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        // Its name comes first, so that what is new in other packs is taken before it.
        let name = temporary.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        fs::rename(&temporary, self.folder.join(format!("0-{name}.pack")))?;
        for pack in &self.packs {
            let _ = fs::remove_file(&pack.path);
        }
        Ok(())
    }
}

impl Store for Cache {
    fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let key = self.full(key);
        let bytes = self.load(self.entries.get(&key)?)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        Some(bytes)
    }

    fn put(&self, key: Key, bytes: &[u8]) {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        if new.is_none() {
            let made = File::create_new(&self.temporary).and_then(|file| {
                let mut out = BufWriter::with_capacity(1 << 18, file);
                out.write_all(MAGIC).map(|()| out)
            });
            *new = made.ok();
        }
        if let Some(out) = new.as_mut()
            && write_entry(out, &self.full(&key), self.today, bytes).is_err()
        {
            // What follows a torn entry would not be found.
            *new = None;
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn write_entry(out: &mut impl Write, key: &Key, day: u32, bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    out.write_all(key)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(&day.to_le_bytes())?;
    out.write_all(&check(bytes))?;
    out.write_all(bytes)
}

fn parse_head(head: &[u8; HEAD]) -> Option<(Key, Entry)> {
    let (key, rest) = head.split_first_chunk::<32>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (day, rest) = rest.split_first_chunk::<4>()?;
    let (check, _) = rest.split_first_chunk::<8>()?;
    let entry = Entry { pack: 0, at: 0, len: u32::from_le_bytes(*len), day: u32::from_le_bytes(*day), check: *check };
    Some((*key, entry))
}

fn check(bytes: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.first_chunk().copied().unwrap_or_default()
}

fn age(path: &Path) -> Option<Duration> {
    fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}

/// What tells this program from another build of the same version.
fn build() -> Vec<u8> {
    let meta = std::env::current_exe().and_then(fs::metadata).ok();
    let modified = meta.as_ref().and_then(|m| m.modified().ok()).and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    format!("{} {:?} {:?}", crate::model::GENERATOR, meta.map(|m| m.len()), modified).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(folder: &Path, keys: std::ops::Range<u8>) {
        let cache = Cache::open(folder).unwrap();
        for n in keys {
            cache.put([n; 32], &[n; 1000]);
        }
        cache.close().unwrap();
    }

    fn held(folder: &Path) -> Vec<u8> {
        let cache = Cache::open(folder).unwrap();
        (0..=255).filter(|n| cache.get(&[*n; 32]).is_some_and(|b| b == [*n; 1000])).collect()
    }

    fn packs(folder: &Path) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    }

    #[test]
    fn what_was_put_is_found_by_later_runs_and_a_later_value_counts() {
        let dir = tempfile::tempdir().unwrap();
        keys(dir.path(), 0..3);
        keys(dir.path(), 2..5);
        let cache = Cache::open(dir.path()).unwrap();
        cache.put([1; 32], b"new");
        cache.close().unwrap();
        assert_eq!(held(dir.path()), [0, 2, 3, 4]);
        assert_eq!(Cache::open(dir.path()).unwrap().get(&[1; 32]).unwrap(), b"new");
    }

    #[test]
    fn many_packs_become_one_and_nothing_in_use_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..12 {
            keys(dir.path(), n..n + 1);
            assert!(packs(dir.path()).len() <= PACKS + 2);
        }
        assert_eq!(held(dir.path()), (0..12).collect::<Vec<u8>>());
    }

    #[test]
    fn what_nobody_used_for_a_month_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut old = Cache::open(dir.path()).unwrap();
        old.today -= DAYS + 1;
        (0..2).for_each(|n| old.put([n; 32], &[n; 1000]));
        old.close().unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(86_400 * u64::from(DAYS + 1));
        File::open(&packs(dir.path())[0]).unwrap().set_modified(long_ago).unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        assert!(cache.get(&[1; 32]).is_some());
        let used = cache.used.lock().unwrap().clone();
        cache.compact(&used).unwrap();
        assert_eq!(held(dir.path()), [1]);
    }

    #[test]
    fn torn_and_strange_files_are_ignored() {
        let dir = tempfile::tempdir().unwrap();
        keys(dir.path(), 0..4);
        let pack = packs(dir.path()).remove(0);
        let mut bytes = fs::read(&pack).unwrap();
        let second = MAGIC.len() + HEAD + 1000 + HEAD + 5;
        bytes[second] ^= 1;
        bytes.truncate(bytes.len() - 10);
        fs::write(&pack, &bytes).unwrap();
        fs::write(dir.path().join("zero.pack"), b"").unwrap();
        fs::write(dir.path().join("other.pack"), b"something else altogether").unwrap();
        assert_eq!(held(dir.path()), [0, 2], "one was changed, one cut off");
        keys(dir.path(), 1..4);
        assert_eq!(held(dir.path()), [0, 1, 2, 3]);
    }

    #[test]
    fn no_changed_byte_and_no_cut_gives_anything_but_what_was_put() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        (0..3).for_each(|n| cache.put([n; 32], &[n; 20]));
        cache.close().unwrap();
        let pack = packs(dir.path()).remove(0);
        let whole = fs::read(&pack).unwrap();
        let found = |bytes: &[u8]| {
            fs::write(&pack, bytes).unwrap();
            let cache = Cache::open(dir.path()).unwrap();
            (0..3).filter_map(|n| Some((n, cache.get(&[n; 32])?))).inspect(|(n, b)| assert_eq!(*b, [*n; 20])).count()
        };
        assert_eq!(found(&whole), 3);
        for at in 0..whole.len() {
            for bit in [0x01, 0x80] {
                let mut bytes = whole.clone();
                bytes[at] ^= bit;
                found(&bytes);
            }
            assert!(found(&whole[..at]) < 3, "{at}");
        }
    }

    #[test]
    fn runs_at_the_same_time_and_a_folder_that_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cache");
        let (a, b) = (Cache::open(&folder).unwrap(), Cache::open(&folder).unwrap());
        a.put([1; 32], &[1; 1000]);
        b.put([2; 32], &[2; 1000]);
        a.close().unwrap();
        b.close().unwrap();
        assert_eq!(held(&folder), [1, 2]);
        let c = Cache::open(&folder).unwrap();
        c.put([3; 32], &[3; 1000]);
        fs::remove_dir_all(&folder).unwrap();
        assert!(c.get(&[1; 32]).is_some(), "it is still open");
        assert!(c.close().is_err());
        assert!(held(&folder).is_empty());
    }
}

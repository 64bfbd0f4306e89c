//! Inventories and streams of records, joined into one inventory.
//!
//! A record is an inventory of one part of a fleet: a shard, or one package of a list. What comes out depends on what the
//! records say, not on how they are spread over files, their order, or how often each is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, Chain, Cursor, Read};

use rayon::prelude::*;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::model::inventory::{FileCounts, Part, SCHEMA};
use crate::model::{Diagnostic, Function, Inventory, Package, Place, State, check_schema, codes, read};

use super::packages::Gathered;
use super::scan::{Rest, no_functions};
use super::shard::Shard;

/// Lines of a stream that are read at once, in parallel.
const LINES: usize = 64;

/// Why inventories cannot be merged: one of them is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// It could not be read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// As given.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// It is no inventory.
    #[error("{}: {}", .0.place, .0.reason)]
    Invalid(Box<Diagnostic>),
}

/// A function as it is kept until all records are in: its JSON takes a third of its memory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    state: State,
    json: Box<[u8]>,
}

/// Records joined so far.
#[derive(Debug, Default)]
pub struct Merger {
    functions: BTreeMap<String, Kept>,
    gathered: Gathered,
    parts: BTreeMap<String, Part>,
    diagnostics: BTreeSet<Diagnostic>,
}

/// One record as it was read.
#[derive(Debug, Default)]
struct Record {
    functions: Vec<(String, Kept)>,
    gathered: Gathered,
    packages: Vec<Package>,
    files: FileCounts,
    parts: Vec<Part>,
    diagnostics: Vec<Diagnostic>,
    schema: Option<String>,
}

impl Merger {
    /// Adds a record.
    pub fn add(&mut self, record: Inventory) -> Result<(), MergeError> {
        let mut read = Record { parts: record.parts, files: record.files, ..Record::default() };
        for function in record.functions {
            read.function(function).map_err(|e| invalid("-", 0, &e))?;
        }
        read.packages = record.packages;
        read.diagnostics = record.diagnostics;
        read.settle(&[]);
        self.join(read);
        Ok(())
    }

    /// Adds what a file or stream holds: one inventory, or one a line. `file` is the name for messages.
    ///
    /// # Errors
    /// When it cannot be read or a line is no inventory: an inventory that silently lacks some of its parts would be
    /// worse than none.
    pub fn read(&mut self, file: &str, mut input: impl BufRead) -> Result<(), MergeError> {
        let io = |source| MergeError::Io { file: file.to_string(), source };
        let mut first = Vec::new();
        input.read_until(b'\n', &mut first).map_err(io)?;
        if !is_whole(&first) {
            return self.read_document(file, Cursor::new(first).chain(input));
        }
        let mut number = 0;
        let mut lines = vec![first];
        loop {
            while lines.len() < LINES {
                let mut line = Vec::new();
                if input.read_until(b'\n', &mut line).map_err(io)? == 0 {
                    break;
                }
                lines.push(line);
            }
            if lines.is_empty() {
                return Ok(());
            }
            let records: Vec<Result<Option<Record>, MergeError>> =
                lines.par_iter().enumerate().map(|(at, line)| read_line(file, number + at + 1, line)).collect();
            number += lines.len();
            for record in records {
                if let Some(record) = record? {
                    self.join(record);
                }
            }
            lines.clear();
        }
    }

    fn read_document(&mut self, file: &str, input: Chain<Cursor<Vec<u8>>, impl BufRead>) -> Result<(), MergeError> {
        let mut hashed = Hashed { input, hash: Sha256::new() };
        let mut record = Record::default();
        let mut json = serde_json::Deserializer::from_reader(io::BufReader::with_capacity(1 << 16, &mut hashed));
        record.deserialize(&mut json).and_then(|()| json.end()).map_err(|e| syntax(file, 0, &e))?;
        drop(json);
        check(file, 0, &record)?;
        record.settle(&hashed.hash.finalize());
        self.join(record);
        Ok(())
    }

    fn join(&mut self, record: Record) {
        for (id, kept) in record.functions {
            self.function(id, kept);
        }
        self.gathered.join(record.gathered);
        for part in record.parts {
            self.part(part);
        }
        self.diagnostics.extend(record.diagnostics);
    }

    /// Of two records of one function the one that knows more is kept, and of two that know as much the one whose JSON
    /// comes first: a choice that does not depend on their order.
    fn function(&mut self, id: String, kept: Kept) {
        let Some(known) = self.functions.get_mut(&id) else {
            self.functions.insert(id, kept);
            return;
        };
        if *known == kept {
            return;
        }
        self.diagnostics.insert(
            Diagnostic::new(
                codes::FUNCTION_DIFFERS,
                Place::file("."),
                format!("`{id}` is recorded in different ways, and the record that knows most is kept"),
            )
            .for_function(id),
        );
        if kept < *known {
            *known = kept;
        }
    }

    fn part(&mut self, part: Part) {
        let Some(known) = self.parts.get_mut(&part.part) else {
            self.parts.insert(part.part.clone(), part);
            return;
        };
        if *known == part {
            return;
        }
        let sources: BTreeSet<String> = known.sources_read.drain(..).chain(part.sources_read).collect();
        known.sources_read = sources.into_iter().collect();
        known.files = most(known.files, part.files);
    }

    /// The inventory. A partial one can be merged again as if what it was made of were given instead.
    pub fn finish(mut self, partial: bool) -> Merged {
        let (files, missing) = self.count();
        if !partial {
            self.diagnostics.extend(missing);
            // What no shard can say by itself.
            if self.functions.is_empty() && self.parts.values().any(|p| shard(p).is_some()) {
                self.diagnostics.insert(no_functions(".", files.seen));
            }
            self.parts.clear();
        }
        Merged {
            functions: Functions(self.functions.into_values()),
            rest: Rest {
                packages: self.gathered.into_packages(),
                files,
                parts: self.parts.into_values().collect(),
                diagnostics: self.diagnostics.into_iter().collect(),
            },
        }
    }

    /// How much was read of all parts. Shards see the same folder, other parts each their own.
    fn count(&self) -> (FileCounts, Vec<Diagnostic>) {
        let mut total = FileCounts::default();
        let mut shards: BTreeMap<u32, (BTreeSet<u32>, FileCounts, BTreeSet<&str>)> = BTreeMap::new();
        for part in self.parts.values() {
            match shard(part) {
                Some(shard) => {
                    let (indices, files, read) = shards.entry(shard.count()).or_default();
                    indices.insert(shard.index());
                    *files = most(*files, part.files);
                    read.extend(part.sources_read.iter().map(String::as_str));
                }
                None => total = sum(total, part.files),
            }
        }
        let mut missing = Vec::new();
        for (count, (indices, files, read)) in shards {
            total = sum(total, FileCounts { read: read.len(), ..files });
            let absent: Vec<String> = (0..count).filter(|i| !indices.contains(i)).map(|i| i.to_string()).collect();
            if !absent.is_empty() {
                let few: Vec<&str> = absent.iter().take(5).map(String::as_str).collect();
                let more = if absent.len() > few.len() { " …" } else { "" };
                let reason = format!("of {count} shards {} are missing: {}{more}", absent.len(), few.join(", "));
                missing.push(Diagnostic::new(codes::SHARD_MISSING, Place::file("."), reason));
            }
        }
        (total, missing)
    }
}

/// A merged inventory.
#[derive(Debug)]
pub struct Merged {
    /// Sorted by id.
    pub functions: Functions,
    /// What there is beside the functions.
    pub rest: Rest,
}

/// The functions of a merged inventory, sorted by id, each made when it is asked for.
#[derive(Debug)]
pub struct Functions(std::collections::btree_map::IntoValues<String, Kept>);

impl Iterator for Functions {
    type Item = Function;

    fn next(&mut self) -> Option<Function> {
        // It was made from a function.
        self.0.find_map(|kept| serde_json::from_slice(&kept.json).ok())
    }
}

impl Record {
    fn function(&mut self, mut function: Function) -> Result<(), String> {
        if let Some(reason) = read::cannot_be_meant(&function) {
            return Err(reason);
        }
        function.sort();
        self.gathered.hold(&function);
        let json = serde_json::to_vec(&function).map_err(|e| e.to_string())?.into_boxed_slice();
        self.functions.push((function.id, Kept { state: function.state, json }));
        Ok(())
    }

    /// All functions were seen: packages can be told.
    fn settle(&mut self, digest: &[u8]) {
        for package in std::mem::take(&mut self.packages) {
            self.gathered.record(package);
        }
        if self.parts.is_empty() {
            // A whole inventory that is given twice counts once.
            let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            self.parts.push(Part { part: format!("inventory {name}"), files: self.files, ..Part::default() });
        }
    }
}

fn shard(part: &Part) -> Option<Shard> {
    part.part.strip_prefix("shard ")?.parse().ok()
}

fn most(a: FileCounts, b: FileCounts) -> FileCounts {
    FileCounts { seen: a.seen.max(b.seen), sources: a.sources.max(b.sources), read: a.read.max(b.read) }
}

fn sum(a: FileCounts, b: FileCounts) -> FileCounts {
    FileCounts {
        seen: a.seen.saturating_add(b.seen),
        sources: a.sources.saturating_add(b.sources),
        read: a.read.saturating_add(b.read),
    }
}

/// Whether a line is a JSON text by itself.
fn is_whole(line: &[u8]) -> bool {
    line.trim_ascii().is_empty() || serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

fn read_line(file: &str, number: usize, line: &[u8]) -> Result<Option<Record>, MergeError> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let mut record = Record::default();
    let mut json = serde_json::Deserializer::from_slice(line);
    record.deserialize(&mut json).and_then(|()| json.end()).map_err(|e| syntax(file, number, &e))?;
    check(file, number, &record)?;
    let digest = if record.parts.is_empty() { Sha256::digest(line).to_vec() } else { Vec::new() };
    record.settle(&digest);
    Ok(Some(record))
}

fn check(file: &str, line: usize, record: &Record) -> Result<(), MergeError> {
    let head = record.schema.as_ref().map_or_else(|| json!({}), |schema| json!({"schema": schema}));
    check_schema(file, &head, SCHEMA).map_err(|mut diagnostic| {
        diagnostic.place = at(file, line);
        MergeError::Invalid(Box::new(diagnostic))
    })
}

fn at(file: &str, line: usize) -> Place {
    Place::at(file, u32::try_from(line).unwrap_or(u32::MAX))
}

fn invalid(file: &str, line: usize, reason: &str) -> MergeError {
    MergeError::Invalid(Box::new(Diagnostic::new(codes::ARTEFACT_INVALID, at(file, line), reason)))
}

fn syntax(file: &str, line: usize, error: &serde_json::Error) -> MergeError {
    let line = if line == 0 { error.line() } else { line };
    invalid(file, line, &format!("not an inventory: {error}"))
}

/// Hashes what is read through it.
struct Hashed<R> {
    input: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl<'de> DeserializeSeed<'de> for &mut Record {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Record {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an inventory")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_functions = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "schema" => self.schema = Some(map.next_value()?),
                "functions" => {
                    has_functions = true;
                    map.next_value_seed(Each(self))?;
                }
                "packages" => self.packages = map.next_value()?,
                "files" => self.files = map.next_value()?,
                "parts" => self.parts = map.next_value()?,
                "diagnostics" => self.diagnostics = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if has_functions { Ok(()) } else { Err(A::Error::missing_field("functions")) }
    }
}

/// The functions of a record, each let go before the next is read.
struct Each<'a>(&'a mut Record);

impl<'de> DeserializeSeed<'de> for Each<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of functions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(function) = seq.next_element::<Function>()? {
            self.0.function(function).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

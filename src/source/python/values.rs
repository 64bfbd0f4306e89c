//! What expressions come to, as far as that can be told without running: names of modules, folders beside a file, conditions
//! on the version of Python.

use std::collections::BTreeMap;

use super::ir::{Comparison, Test, Value};

/// How far names are followed, and how many names a loop or an f-string may stand for.
const MAX_STEPS: usize = 16;
const MAX_TEXTS: usize = 256;

/// Minor versions of Python 3, from and below.
pub(super) type Minors = (u32, u32);
pub(super) const EVERY: Minors = (0, u32::MAX);
const NONE: Minors = (0, 0);

pub(super) fn is_empty(minors: Minors) -> bool {
    minors.0 >= minors.1
}

pub(super) fn both(a: Minors, b: Minors) -> Minors {
    (a.0.max(b.0), a.1.min(b.1))
}

/// The smallest range with both; a gap between them counts as in it.
fn either(a: Minors, b: Minors) -> Minors {
    match (is_empty(a), is_empty(b)) {
        (true, _) => b,
        (_, true) => a,
        _ => (a.0.min(b.0), a.1.max(b.1)),
    }
}

/// A place in the tree that an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// The file itself, or a folder relative to the file's own (`""`, `..`, `lib`).
    Beside { is_file: bool, path: String },
    /// A folder relative to the one that Python is started in.
    Start(String),
}

/// Names that a file gives to values, and what its imports call things.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What each name stands for in the modules that are followed.
    pub(super) bound: BTreeMap<String, String>,
    /// The value of names that are given one only once; `None` for others.
    pub(super) constants: BTreeMap<String, Option<(Value, bool)>>,
}

impl Names {
    /// Notes that a name is given a value, in a function if `lazy`.
    pub(super) fn give(&mut self, name: &str, value: &Value, lazy: bool) {
        self.constants
            .entry(name.to_string())
            .and_modify(|known| *known = None)
            .or_insert_with(|| Some((value.clone(), lazy)));
    }

    /// A dotted name with its first part replaced by what that was imported as.
    pub(super) fn resolve(&self, path: &str) -> String {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        match (self.bound.get(first), rest) {
            (Some(target), Some(rest)) => format!("{target}.{rest}"),
            (Some(target), None) => target.clone(),
            (None, _) => path.to_string(),
        }
    }

    /// The constant that a name stands for. In a function a parameter may hide it, unless it is written as constants are.
    fn constant(&self, name: &str, lazy: bool) -> Option<&Value> {
        let (value, given_later) = self.constants.get(name)?.as_ref()?;
        let shouted = !name.contains(|c: char| c.is_lowercase());
        (!given_later && (!lazy || shouted)).then_some(value)
    }

    /// Every text that a value may be; `None` when only running would tell.
    pub(super) fn texts(&self, value: &Value, lazy: bool) -> Option<Vec<String>> {
        self.texts_within(value, lazy, MAX_STEPS)
    }

    fn texts_within(&self, value: &Value, lazy: bool, steps: usize) -> Option<Vec<String>> {
        let steps = steps.checked_sub(1)?;
        match value {
            Value::Text(text) => Some(vec![text.clone()]),
            Value::Path(name) => self.texts_within(self.constant(name, lazy)?, lazy, steps),
            Value::Joined(parts) => {
                let mut out = vec![String::new()];
                for part in parts {
                    let texts = self.texts_within(part, lazy, steps)?;
                    if out.len().checked_mul(texts.len())? > MAX_TEXTS {
                        return None;
                    }
                    out = out.iter().flat_map(|head| texts.iter().map(move |tail| format!("{head}{tail}"))).collect();
                }
                Some(out)
            }
            Value::OneOf(list) => {
                let list = match &**list {
                    Value::Path(name) => self.constant(name, lazy)?,
                    other => other,
                };
                let Value::List(items) = list else { return None };
                let mut out = Vec::new();
                for item in items {
                    out.extend(self.texts_within(item, lazy, steps)?);
                    if out.len() > MAX_TEXTS {
                        return None;
                    }
                }
                Some(out)
            }
            _ => None,
        }
    }

    /// The folder or file that an expression names: by `__file__`, `os.path`, `pathlib`, or a relative literal.
    pub(super) fn location(&self, value: &Value, lazy: bool) -> Option<Location> {
        self.location_within(value, lazy, MAX_STEPS)
    }

    fn location_within(&self, value: &Value, lazy: bool, steps: usize) -> Option<Location> {
        let steps = steps.checked_sub(1)?;
        let of = |value: &Value| self.location_within(value, lazy, steps);
        match value {
            Value::Path(path) => {
                if path == "__file__" {
                    return Some(Location::Beside { is_file: true, path: String::new() });
                }
                // `HERE.parent`
                if let Some((inner, "parent")) = path.rsplit_once('.') {
                    return of(&Value::Path(inner.to_string()))?.parent();
                }
                of(self.constant(path, lazy)?)
            }
            Value::Text(text) => {
                let inside = text.strip_prefix("/var/task").or_else(|| (!text.starts_with('/')).then_some(text))?;
                Some(Location::Start(inside.trim_matches('/').to_string()))
            }
            Value::Joined(parts) => {
                let (first, rest) = parts.split_first()?;
                rest.iter().try_fold(of(first)?, |found, part| match self.texts_within(part, lazy, steps)?.as_slice() {
                    [text] => found.join(text),
                    _ => None,
                })
            }
            Value::Slash(left, right) => match self.texts_within(right, lazy, steps)?.as_slice() {
                [text] => of(left)?.join(text),
                _ => None,
            },
            Value::Attribute(inner, name) if name == "parent" => of(inner)?.parent(),
            Value::Index(inner, levels) => {
                let start = match &**inner {
                    Value::Attribute(inner, name) if name == "parents" => of(inner)?,
                    Value::Path(path) => of(&Value::Path(path.strip_suffix(".parents")?.to_string()))?,
                    _ => return None,
                };
                (0..=(*levels).min(32)).try_fold(start, |found, _| found.parent())
            }
            Value::Call(function, arguments) => {
                let joined = |start: Location, rest: &[Value]| {
                    rest.iter().try_fold(start, |found, part| match self.texts_within(part, lazy, steps)?.as_slice() {
                        [text] => found.join(text),
                        _ => None,
                    })
                };
                let method = |inner: Option<Location>, name: &str| match name {
                    "resolve" | "absolute" | "as_posix" | "expanduser" => inner,
                    "joinpath" => joined(inner?, arguments),
                    _ => None,
                };
                match &**function {
                    Value::Attribute(inner, name) => method(of(inner), name),
                    Value::Path(path) => match self.resolve(path).as_str() {
                        "os.path.dirname" => of(arguments.first()?)?.parent(),
                        "os.path.abspath" | "os.path.realpath" | "os.path.normpath" | "str" | "os.fspath" => {
                            of(arguments.first()?)
                        }
                        "os.path.join" | "pathlib.Path" | "pathlib.PurePath" | "pathlib.PurePosixPath" => {
                            joined(of(arguments.first()?)?, arguments.get(1..)?)
                        }
                        _ => {
                            let (inner, name) = path.rsplit_once('.')?;
                            method(of(&Value::Path(inner.to_string())), name)
                        }
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The versions in which a test can have this outcome on Linux; a test about anything else can have either.
    pub(super) fn minors(&self, test: &Test, outcome: bool) -> Minors {
        match test {
            Test::Never if outcome => NONE,
            Test::Not(inner) => self.minors(inner, !outcome),
            Test::And(parts) | Test::Or(parts) => {
                let ranges = parts.iter().map(|part| self.minors(part, outcome));
                // All parts of an `and` that holds hold, and one at least of an `or`.
                if matches!(test, Test::And(_)) == outcome {
                    ranges.fold(EVERY, both)
                } else {
                    ranges.fold(NONE, either)
                }
            }
            Test::Compare(left, how, right) => self.compared(left, *how, right, outcome),
            Test::Value(value) => match self.known_value(value) {
                Some(holds) if holds != outcome => NONE,
                _ => EVERY,
            },
            _ => EVERY,
        }
    }

    /// Values that are the same on every Linux with Python 3.
    fn known_value(&self, value: &Value) -> Option<bool> {
        match value {
            Value::Path(path) => match self.resolve(path).as_str() {
                "six.PY2" => Some(false),
                "six.PY3" => Some(true),
                _ => None,
            },
            Value::Call(function, arguments) => match (&**function, &arguments[..]) {
                (Value::Path(path), [Value::Text(start)]) if self.resolve(path) == "sys.platform.startswith" => {
                    Some("linux".starts_with(start.as_str()))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn compared(&self, left: &Value, how: Comparison, right: &Value, outcome: bool) -> Minors {
        let subject = |value: &Value| match value {
            Value::Path(path) => Some(self.resolve(path)),
            Value::Index(inner, index) => match &**inner {
                Value::Path(path) => Some(format!("{}[{index}]", self.resolve(path))),
                _ => None,
            },
            Value::Call(function, arguments) if arguments.is_empty() => match &**function {
                Value::Path(path) => Some(format!("{}()", self.resolve(path))),
                _ => None,
            },
            _ => None,
        };
        let how = if outcome { how } else { opposite(how) };
        match (subject(left).as_deref(), right) {
            (Some(name @ ("sys.platform" | "os.name" | "platform.system()")), Value::Text(text)) => {
                let here = match name {
                    "sys.platform" => "linux",
                    "os.name" => "posix",
                    _ => "Linux",
                };
                match how {
                    Comparison::Equal if text != here => NONE,
                    Comparison::NotEqual if text == here => NONE,
                    _ => EVERY,
                }
            }
            (Some("sys.version_info"), Value::List(parts)) => {
                let numbers: Option<Vec<u32>> = parts
                    .iter()
                    .take(2)
                    .map(|part| if let Value::Number(n) = part { Some(*n) } else { None })
                    .collect();
                match numbers.as_deref() {
                    Some(&[major]) => version(how, major, None),
                    Some(&[major, minor, ..]) => version(how, major, Some((minor, parts.len() == 2))),
                    _ => EVERY,
                }
            }
            (Some("sys.version_info[0]" | "sys.version_info.major"), &Value::Number(major)) => match how {
                Comparison::Equal => decided(major == 3),
                Comparison::NotEqual => decided(major != 3),
                Comparison::Less => decided(3 < major),
                Comparison::LessEqual => decided(3 <= major),
                Comparison::Greater => decided(3 > major),
                Comparison::GreaterEqual => decided(3 >= major),
            },
            (Some("sys.version_info[1]" | "sys.version_info.minor"), &Value::Number(minor)) => match how {
                Comparison::Equal => (minor, minor.saturating_add(1)),
                Comparison::NotEqual => EVERY,
                Comparison::Less => (0, minor),
                Comparison::LessEqual => (0, minor.saturating_add(1)),
                Comparison::Greater => (minor.saturating_add(1), u32::MAX),
                Comparison::GreaterEqual => (minor, u32::MAX),
            },
            _ => EVERY,
        }
    }
}

fn decided(holds: bool) -> Minors {
    if holds { EVERY } else { NONE }
}

fn opposite(how: Comparison) -> Comparison {
    match how {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterEqual,
        Comparison::LessEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessEqual,
        Comparison::GreaterEqual => Comparison::Less,
    }
}

/// `sys.version_info` against `(major,)`, `(major, minor)` or more. Where it depends on more than the minor version (patch
/// releases, whether a slice was taken), the version itself is in.
fn version(how: Comparison, major: u32, minor: Option<(u32, bool)>) -> Minors {
    let at_most = matches!(how, Comparison::Less | Comparison::LessEqual);
    let at_least = matches!(how, Comparison::Greater | Comparison::GreaterEqual);
    match minor {
        _ if major != 3 && (at_most || at_least) => decided((3 < major) == at_most),
        _ if major != 3 => decided(how == Comparison::NotEqual),
        // `sys.version_info > (3,)`: it is longer.
        None => {
            if at_most {
                decided(how == Comparison::LessEqual)
            } else {
                EVERY
            }
        }
        Some((minor, exact)) => match how {
            Comparison::Equal => (minor, minor.saturating_add(1)),
            Comparison::NotEqual => EVERY,
            Comparison::Less if exact => (0, minor),
            Comparison::Less | Comparison::LessEqual => (0, minor.saturating_add(1)),
            Comparison::Greater | Comparison::GreaterEqual => (minor, u32::MAX),
        },
    }
}

impl Location {
    fn parent(self) -> Option<Location> {
        match self {
            Location::Beside { is_file: true, path } => Some(Location::Beside { is_file: false, path }),
            Location::Beside { is_file: false, path } => {
                let path = if path.is_empty() { "..".to_string() } else { format!("{path}/..") };
                Some(Location::Beside { is_file: false, path })
            }
            Location::Start(path) => Some(Location::Start(format!("{path}/.."))),
        }
    }

    fn join(self, rest: &str) -> Option<Location> {
        let rest = rest.trim_matches('/');
        let joined = |path: String| if path.is_empty() { rest.to_string() } else { format!("{path}/{rest}") };
        match self {
            // `__file__ + "/.."`
            Location::Beside { is_file, path } => {
                let rest = if is_file { rest.strip_prefix("..").map(|r| r.trim_start_matches('/'))? } else { rest };
                let path = if path.is_empty() { rest.to_string() } else { format!("{path}/{rest}") };
                Some(Location::Beside { is_file: false, path })
            }
            Location::Start(path) => Some(Location::Start(joined(path))),
        }
    }
}

//! Relative paths inside a fleet: `/`-separated, without `.` and `..`; `.` alone is the root.

/// `rel` as seen from the folder `dir`, with `.` and `..` worked out; `None` when it leaves the root or is absolute.
///
/// ```
/// use warmset::discover::paths::join;
/// assert_eq!(join("a/b", "../c/./d").as_deref(), Some("a/c/d"));
/// assert_eq!(join("a", "..").as_deref(), Some("."));
/// assert_eq!(join("a", "../.."), None);
/// assert_eq!(join("a", "/etc"), None);
/// ```
pub fn join(dir: &str, rel: &str) -> Option<String> {
    let rel = rel.trim();
    // Templates written on Windows hold back slashes; a drive letter is as absolute as a leading slash.
    let rel = rel.replace('\\', "/");
    if rel.starts_with('/') || rel.as_bytes().get(1) == Some(&b':') {
        return None;
    }
    let mut parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    for part in rel.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(if parts.is_empty() { ".".to_string() } else { parts.join("/") })
}

/// The folder that holds `path`; `.` for what lies in the root, and for the root itself.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(dir, _)| dir)
}

/// The last component.
pub fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The file name without its last extension: `app.test.js` gives `app.test`.
pub fn stem(path: &str) -> &str {
    let name = file_name(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// The last extension, without its dot; empty when there is none.
pub fn extension(path: &str) -> &str {
    match file_name(path).rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension,
        _ => "",
    }
}

/// Whether `path` is `dir` itself or lies below it.
pub fn is_within(path: &str, dir: &str) -> bool {
    dir == "." || path == dir || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// `path` as seen from `dir`, when it lies below it.
pub fn relative_to<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    if dir == "." { Some(path) } else { path.strip_prefix(dir)?.strip_prefix('/') }
}

/// `dir` and every folder above it, up to and with the root.
pub fn ancestors(dir: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(dir), |d| if *d == "." { None } else { Some(parent(d)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_stay_inside() {
        assert_eq!(join(".", "./src/").as_deref(), Some("src"));
        assert_eq!(join("a/b", "..\\c").as_deref(), Some("a/c"));
        assert_eq!(join(".", "").as_deref(), Some("."));
        assert_eq!(join(".", "../x"), None);
        assert_eq!(join("a", "C:/x"), None);
    }

    #[test]
    fn parts_of_a_path() {
        assert_eq!((parent("a/b.py"), parent("b.py"), parent(".")), ("a", ".", "."));
        assert_eq!(
            (stem("a/app.test.js"), stem(".nvmrc"), extension(".nvmrc"), extension("x.py")),
            ("app.test", ".nvmrc", "", "py")
        );
        assert!(is_within("a/b", "a") && is_within("a", "a") && !is_within("ab", "a") && is_within("x", "."));
        assert_eq!(ancestors("a/b").collect::<Vec<_>>(), ["a/b", "a", "."]);
        assert_eq!(relative_to("a/b/c", "a/b"), Some("c"));
    }
}

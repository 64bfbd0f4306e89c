//! Which platforms a wheel is for, by the tags in its file name (PEP 425 and 427; `manylinux` by PEP 600 and its
//! forerunners, `musllinux` by PEP 656).
//!
//! Compared: interpreter version, ABI, operating system, architecture, kind of libc. Not compared: the version of the libc
//! or of macOS, which a function's platform does not say.

use crate::model::Platform;

/// The tags of a wheel's file name: `cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64`.
pub fn tags(file: &str) -> Option<&str> {
    let stem = file.strip_suffix(".whl")?;
    // name-version(-build)?-python-abi-platform: the last three parts.
    let mut dashes = stem.rmatch_indices('-').map(|(at, _)| at);
    let (_, _, third) = (dashes.next()?, dashes.next()?, dashes.next()?);
    Some(&stem[third + 1..])
}

/// The file name at the end of a URL or path.
pub fn file_name(address: &str) -> &str {
    let path = address.split(['#', '?']).next().unwrap_or(address);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The tags of a package's wheels where those are all there is and none is for any platform; else nothing.
///
/// `files` are file names. A source archive can be built anywhere, as far as its metadata tells.
pub fn only_wheels<'a>(files: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut out = Vec::new();
    for file in files {
        let Some(tags) = tags(file) else {
            return Vec::new();
        };
        let for_all = |tags: &str| {
            let mut parts = tags.split('-');
            let python = parts.next().is_some_and(|p| p.split('.').any(|p| p == "py3"));
            python && parts.next() == Some("none") && parts.next() == Some("any")
        };
        if for_all(tags) {
            return Vec::new();
        }
        out.push(tags.to_string());
    }
    out.sort();
    out.dedup();
    out
}

/// Whether CPython on a platform can install a wheel with these tags.
pub fn fits(tags: &str, platform: &Platform) -> bool {
    let mut parts = tags.split('-');
    let (Some(python), Some(abi), Some(system)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let interpreter =
        python.split('.').any(|python| abi.split('.').any(|abi| fits_python(python, abi, platform.version_pair())));
    interpreter && system.split('.').any(|system| fits_system(system, platform))
}

fn fits_python(python: &str, abi: &str, (major, minor): (u32, u32)) -> bool {
    let digits = |text: &str| -> Option<(u32, Option<u32>)> {
        let at = text.char_indices().nth(1).map_or(text.len(), |(at, _)| at);
        let (first, rest) = text.split_at(at);
        Some((first.parse().ok()?, if rest.is_empty() { None } else { Some(rest.parse().ok()?) }))
    };
    if let Some((of, least)) = python.strip_prefix("cp").and_then(digits) {
        if of != major {
            return false;
        }
        return match abi {
            // The stable ABI: any later minor version too.
            "abi3" => least.is_none_or(|least| least <= minor),
            "none" => least.is_none_or(|least| least == minor),
            abi => {
                let own = format!("cp{major}{minor}");
                least == Some(minor) && (abi == own || abi == format!("{own}m") || abi == format!("{own}mu"))
            }
        };
    }
    let pure = python.strip_prefix("py").and_then(digits);
    abi == "none" && pure.is_some_and(|(of, least)| of == major && least.is_none_or(|least| least <= minor))
}

fn fits_system(system: &str, platform: &Platform) -> bool {
    let arch = platform.arch.as_str();
    let ends =
        |names: &[&str]| names.iter().any(|name| system.strip_suffix(name).is_some_and(|before| before.ends_with('_')));
    match platform.os.as_str() {
        _ if system == "any" => true,
        "linux" => {
            let libc = match platform.libc.as_str() {
                "musl" => system.starts_with("musllinux_"),
                _ => system.starts_with("manylinux"),
            };
            (libc || system == format!("linux_{arch}")) && ends(&[arch])
        }
        "darwin" => {
            let own = if arch == "aarch64" { "arm64" } else { arch };
            system.starts_with("macosx_")
                && (ends(&[own, "universal2"]) || (own != "arm64" && ends(&["universal", "intel", "fat64"])))
        }
        "windows" => system == if arch == "aarch64" { "win_arm64" } else { "win_amd64" },
        _ => false,
    }
}

/// What a package lacks whose wheels are all there is: `None` when one of them fits, else the reason for a diagnostic.
pub fn lack(tags: &[String], platform: &Platform) -> Option<String> {
    if tags.is_empty() || tags.iter().any(|t| fits(t, platform)) {
        return None;
    }
    // What would have to be otherwise for one to fit says what is lacking.
    let with = |change: &dyn Fn(&mut Platform)| {
        let mut other = platform.clone();
        change(&mut other);
        tags.iter().any(|t| fits(t, &other))
    };
    let arch = platform.arch.as_str();
    let other_libc = if platform.libc == "musl" { "glibc" } else { "musl" };
    let other_arch = if arch == "aarch64" { "x86_64" } else { "aarch64" };
    let what = if platform.os == "linux" && with(&|p| p.libc = other_libc.into()) {
        let name = if platform.libc == "musl" { "musllinux" } else { "manylinux" };
        format!("{name} on {arch}")
    } else if with(&|p| p.arch = other_arch.into()) {
        arch.to_string()
    } else if (0..40).any(|minor| with(&|p| p.version = format!("3.{minor}"))) {
        format!("CPython {}", platform.version)
    } else {
        platform.to_string()
    };
    Some(format!("the lock has no wheel for {what}, and no source archive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    /// Expected values are those of `packaging.tags` for CPython of that version and platform.
    #[test]
    fn tags_fit_as_pip_says() {
        let glibc = platform("python3.11-linux-x86_64-glibc");
        for (name, want) in [
            ("a-1-py3-none-any.whl", true),
            ("a-1-py2.py3-none-any.whl", true),
            ("a-1-py2-none-any.whl", false),
            ("a-1-py312-none-any.whl", false),
            ("a-1-py39-none-any.whl", true),
            ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", true),
            ("a-1-2-cp311-cp311-manylinux1_x86_64.whl", true),
            ("a-1-cp311-cp311-linux_x86_64.whl", true),
            ("a-1-cp311-cp311-manylinux2014_aarch64.whl", false),
            ("a-1-cp311-cp311-musllinux_1_2_x86_64.whl", false),
            ("a-1-cp310-cp310-manylinux2014_x86_64.whl", false),
            ("a-1-cp37-abi3-manylinux2014_x86_64.whl", true),
            ("a-1-cp312-abi3-manylinux2014_x86_64.whl", false),
            ("a-1-cp311-none-manylinux2014_x86_64.whl", true),
            ("a-1-cp310-none-manylinux2014_x86_64.whl", false),
            ("a-1-cp313-cp313t-manylinux2014_x86_64.whl", false),
            ("a-1-pp310-pypy310_pp73-manylinux2014_x86_64.whl", false),
            ("a-1-py3-none-manylinux2014_x86_64.whl", true),
            ("a-1-cp311-cp311-macosx_11_0_arm64.whl", false),
            ("a-1-cp311-cp311-win_amd64.whl", false),
        ] {
            assert_eq!(fits(tags(name).unwrap(), &glibc), want, "{name}");
        }
        let musl = platform("python3.13-linux-aarch64-musl");
        assert!(fits("cp313-cp313-musllinux_1_2_aarch64", &musl) && !fits("cp313-cp313-musllinux_1_2_x86_64", &musl));
        assert!(!fits("cp313-cp313-manylinux2014_aarch64", &musl));
        let mac = platform("python3.12-darwin-aarch64-none");
        assert!(fits("cp312-cp312-macosx_10_13_universal2", &mac) && !fits("cp312-cp312-macosx_10_13_x86_64", &mac));
        assert!(fits("cp36-abi3-win_amd64", &platform("python3.12-windows-x86_64-none")));
    }

    #[test]
    fn only_names_that_are_wheels_bind() {
        assert_eq!(only_wheels(["a-1-cp311-cp311-win_amd64.whl"]), ["cp311-cp311-win_amd64"]);
        assert!(only_wheels(["a-1-cp311-cp311-win_amd64.whl", "a-1.tar.gz"]).is_empty());
        assert!(only_wheels(["a-1-cp311-cp311-win_amd64.whl", "a-1-py3-none-any.whl"]).is_empty());
        assert!(only_wheels([]).is_empty());
        assert_eq!(tags("a.whl"), None);
        assert_eq!(tags("é-é-é-é.whl"), Some("é-é-é"));
        assert_eq!(file_name("https://h/x/a-1.whl#sha256=0"), "a-1.whl");
    }

    #[test]
    fn what_is_lacking_is_named() {
        let wheels: Vec<String> =
            ["cp311-cp311-manylinux2014_x86_64", "cp312-cp312-manylinux2014_x86_64"].map(String::from).into();
        let said = |p: &str| lack(&wheels, &platform(p));
        assert_eq!(said("python3.11-linux-x86_64-glibc"), None);
        for (on, what) in [
            ("python3.11-linux-x86_64-musl", "musllinux on x86_64"),
            ("python3.11-linux-aarch64-glibc", "aarch64"),
            ("python3.13-linux-x86_64-glibc", "CPython 3.13"),
            ("python3.13-linux-aarch64-musl", "python3.13-linux-aarch64-musl"),
        ] {
            assert_eq!(said(on), Some(format!("the lock has no wheel for {what}, and no source archive")), "{on}");
        }
    }
}

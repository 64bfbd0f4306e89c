//! The environment in which PEP 508 markers are evaluated: the function's platform, not the machine that plans.

use pep508_rs::{MarkerEnvironment, MarkerEnvironmentBuilder};

use crate::model::Platform;

/// The marker environment of CPython on a platform (PEP 508, "environment markers").
///
/// A function's declaration fixes the minor version only. Providers keep their runtimes at late patch releases, so
/// `python_full_version` is the last known release of the branch: markers such as `python_full_version < '3.11.3'`
/// (a standard-library fix that a backport replaces) then answer as they would in production.
/// `platform_release` and `platform_version`, which no declaration tells, are empty.
pub fn marker_environment(platform: &Platform) -> MarkerEnvironment {
    let (major, minor) = platform.version_pair();
    let short = format!("{major}.{minor}");
    let full = format!("{short}.{}", last_patch(major, minor));
    let (os_name, sys_platform, platform_system) = match platform.os.as_str() {
        "windows" => ("nt", "win32", "Windows"),
        "darwin" => ("posix", "darwin", "Darwin"),
        _ => ("posix", "linux", "Linux"),
    };
    // The same processor has three names, one a system.
    let machine = match (platform.os.as_str(), platform.arch.as_str()) {
        ("darwin", "aarch64") => "arm64",
        ("windows", "aarch64") => "ARM64",
        ("windows", "x86_64") => "AMD64",
        (_, arch) => arch,
    };
    MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: &full,
        os_name,
        platform_machine: machine,
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system,
        platform_version: "",
        python_full_version: &full,
        python_version: &short,
        sys_platform,
    })
    .expect("versions made of three numbers are versions")
}

/// Last release of a branch of CPython; of branches still maintained, one from late in 2025.
fn last_patch(major: u32, minor: u32) -> u32 {
    match (major, minor) {
        (2, 7) => 18,
        (3, 6) => 15,
        (3, 7) => 17,
        (3, 8) => 20,
        (3, 9) => 25,
        (3, 10) => 19,
        (3, 11) => 14,
        (3, 12) => 12,
        (3, 13) => 9,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Language;
    use std::str::FromStr;

    fn holds(platform: &str, marker: &str) -> bool {
        let environment = marker_environment(&platform.parse().unwrap());
        pep508_rs::MarkerTree::from_str(marker).unwrap().evaluate(&environment, &[])
    }

    #[test]
    fn versions_systems_and_processors_decide() {
        let (old, new) = ("python3.9-linux-x86_64-glibc", "python3.13-linux-aarch64-musl");
        for (marker, on_old, on_new) in [
            ("python_version < '3.11'", true, false),
            // 3.10 is above 3.9: versions, not strings.
            ("python_version >= '3.10'", false, true),
            ("python_full_version >= '3.9.1' and python_full_version < '3.10'", true, false),
            ("sys_platform == 'linux' and os_name == 'posix'", true, true),
            ("platform_machine == 'aarch64' or platform_machine == 'arm64'", false, true),
            ("platform_system == 'Windows' or sys_platform == 'darwin'", false, false),
            ("implementation_name == 'cpython' and platform_python_implementation != 'PyPy'", true, true),
            ("'arch' in platform_machine", false, true),
        ] {
            assert_eq!((holds(old, marker), holds(new, marker)), (on_old, on_new), "{marker}");
        }
    }

    #[test]
    fn the_patch_is_a_late_one() {
        let environment = marker_environment(&Platform::linux(Language::Python, "3.11"));
        assert_eq!(environment.python_full_version().to_string(), "3.11.14");
        assert!(!holds("python3.11-linux-x86_64-glibc", "python_full_version < '3.11.3'"));
    }

    #[test]
    fn any_platform_that_parses_has_an_environment() {
        for text in
            ["python3.99-linux-x86_64-glibc", "node20-linux-x86_64-musl", "python9999.9999-windows-aarch64-none"]
        {
            marker_environment(&text.parse().unwrap());
        }
    }
}

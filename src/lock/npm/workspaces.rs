//! Which folders the `workspaces` of a package.json mean.

/// Whether a folder, relative to the root's, is a member. A pattern's `*` is any one name or part of one, `**` any number
/// of folders, a leading `!` takes back.
pub fn is_member(patterns: &[String], folder: &str) -> bool {
    let path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if path.is_empty() || path.contains(&"node_modules") {
        return false;
    }
    let mut member = false;
    for pattern in patterns {
        let (taken, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (false, pattern),
            None => (true, pattern.as_str()),
        };
        if member != taken && matches(pattern, &path) {
            member = taken;
        }
    }
    member
}

/// One row of a table at a time, so that no pattern takes more than its length times the path's.
fn matches(pattern: &str, path: &[&str]) -> bool {
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == "**" {
            let first = reached.iter().position(|r| *r).unwrap_or(reached.len());
            reached[first..].fill(true);
        } else {
            for at in (0..path.len()).rev() {
                reached[at + 1] = reached[at] && part_matches(part, path[at]);
            }
            reached[0] = false;
        }
    }
    reached[path.len()]
}

/// One name: `*` is any text, `?` any character.
fn part_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_say_who_is_a_member() {
        let member = |patterns: &[&str], folder: &str| {
            is_member(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>(), folder)
        };
        for (patterns, folder, expected) in [
            (&["packages/*"][..], "packages/a", true),
            (&["packages/*"], "packages/a/b", false),
            (&["./packages/*/"], "packages/a", true),
            (&["packages/**"], "packages/a/b", true),
            (&["**/fn-*"], "x/y/fn-cart", true),
            (&["**/fn-*"], "x/y/cart", false),
            (&["a", "b"], "b", true),
            (&["*", "!old"], "old", false),
            (&["*", "!old", "old"], "old", true),
            (&["**"], "a/node_modules/b", false),
            (&["*"], ".", false),
            (&[], "a", false),
            (&["*a*b*"], "xaxbx", true),
            (&["*a*b*"], "xbxax", false),
        ] {
            assert_eq!(member(patterns, folder), expected, "{patterns:?} {folder}");
        }
    }
}

//! A Dockerfile as the rules see it: instructions with flags, stages, the commands of each `RUN`.

/// One instruction, continuation lines joined by a space.
#[derive(Debug, Clone)]
pub struct Instruction {
    /// As written.
    pub keyword: String,
    pub flags: Vec<String>,
    /// What follows the flags.
    pub rest: String,
    /// Index of its stage; `None` before the first `FROM`.
    pub stage: Option<usize>,
    /// The comment on the line right before it.
    pub comment: Option<String>,
    /// Whether a blank line stands inside it.
    pub blank_continuation: bool,
}

#[derive(Debug, Default)]
pub struct Dockerfile {
    pub instructions: Vec<Instruction>,
    pub comments: Vec<String>,
    pub stages: Vec<Stage>,
    /// Lines of the .dockerignore beside it.
    pub ignore: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Stage {
    /// As written, variables included.
    pub image: String,
    pub name: Option<String>,
}

impl Instruction {
    pub fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword)
    }

    pub fn flag(&self, name: &str) -> Option<&str> {
        self.flags.iter().find_map(|f| f.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
    }

    /// Words of the arguments; double quotes hold words together and are dropped.
    pub fn words(&self) -> Vec<String> {
        words(&self.rest)
    }

    /// `key=value` pairs of ENV, LABEL and ARG; a key without `=` has no value.
    pub fn pairs(&self) -> Vec<(String, Option<String>)> {
        let split = |w: String| match w.split_once('=') {
            Some((key, value)) => (key.to_string(), Some(value.to_string())),
            None => (w, None),
        };
        self.words().into_iter().map(split).collect()
    }

    pub fn is_exec_form(&self) -> bool {
        serde_json::from_str::<Vec<String>>(&self.rest).is_ok()
    }

    /// The commands of a `RUN`, each as words.
    pub fn commands(&self) -> Vec<Vec<String>> {
        let mut commands = vec![Vec::new()];
        for word in words(&self.rest) {
            if matches!(word.as_str(), "&&" | "||" | "|" | ";" | "{" | "}" | "};" | "(" | ")") {
                commands.push(Vec::new());
            } else if let Some(word) = word.strip_suffix(';') {
                commands.last_mut().expect("one command").push(word.to_string());
                commands.push(Vec::new());
            } else {
                commands.last_mut().expect("one command").push(word);
            }
        }
        commands.retain(|c| !c.is_empty());
        commands
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some('"') | None) => {
                let next = chars.next().unwrap_or('\\');
                word.get_or_insert_default().push(next);
            }
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

impl Dockerfile {
    pub fn parse(text: &str) -> Self {
        let mut out = Self::default();
        let mut comment: Option<String> = None;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let trimmed = line.trim();
            if let Some(text) = trimmed.strip_prefix('#') {
                out.comments.push(text.trim().to_string());
                comment = Some(text.trim().to_string());
                continue;
            }
            if trimmed.is_empty() {
                comment = None;
                continue;
            }
            let mut whole = trimmed.to_string();
            let mut blank_continuation = false;
            while whole.ends_with('\\') {
                whole.pop();
                match lines.next() {
                    Some(next) if next.trim().is_empty() => {
                        blank_continuation = true;
                        whole.push('\\');
                    }
                    Some(next) if next.trim().starts_with('#') => whole.push('\\'),
                    Some(next) => whole = format!("{} {}", whole.trim_end(), next.trim()),
                    None => break,
                }
            }
            out.push(&whole, comment.take(), blank_continuation);
        }
        out
    }

    fn push(&mut self, whole: &str, comment: Option<String>, blank_continuation: bool) {
        let (keyword, mut rest) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
        let mut flags = Vec::new();
        loop {
            rest = rest.trim_start();
            if !rest.starts_with("--") {
                break;
            }
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            flags.push(rest[..end].to_string());
            rest = &rest[end..];
        }
        if keyword.eq_ignore_ascii_case("from") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let name = match words.as_slice() {
                [_, keyword, name] if keyword.eq_ignore_ascii_case("as") => Some(name.to_string()),
                _ => None,
            };
            self.stages.push(Stage { image: words.first().unwrap_or(&"").to_string(), name });
        }
        self.instructions.push(Instruction {
            keyword: keyword.to_string(),
            flags,
            rest: rest.to_string(),
            stage: self.stages.len().checked_sub(1),
            comment,
            blank_continuation,
        });
    }

    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a Instruction> {
        self.instructions.iter().filter(move |i| i.is(keyword))
    }

    pub fn runs(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        self.instructions.iter().filter(|i| i.is("run")).flat_map(Instruction::commands)
    }

    /// Instructions of each stage in turn.
    pub fn by_stage(&self) -> Vec<Vec<&Instruction>> {
        (0..self.stages.len()).map(|s| self.instructions.iter().filter(|i| i.stage == Some(s)).collect()).collect()
    }

    /// Arguments declared before the first `FROM`.
    pub fn global_args(&self) -> Vec<(String, Option<String>)> {
        self.instructions.iter().filter(|i| i.stage.is_none() && i.is("arg")).flat_map(Instruction::pairs).collect()
    }

    /// An image with the defaults of global arguments put in.
    pub fn expand(&self, image: &str) -> String {
        self.global_args().iter().fold(image.to_string(), |image, (name, value)| {
            let value = value.as_deref().unwrap_or("");
            image.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
        })
    }
}

/// Names of `$name` and `${name}` in a text; a `$` after a backslash is none.
pub fn variables(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let bytes: Vec<char> = text.chars().collect();
    for (at, c) in bytes.iter().enumerate() {
        if *c == '$' && (at == 0 || bytes[at - 1] != '\\') {
            let rest = bytes[at + 1..].iter().skip_while(|c| **c == '{');
            let name: String = rest.take_while(|c| c.is_ascii_alphanumeric() || **c == '_').collect();
            if !name.is_empty() {
                names.push(name);
            }
        }
    }
    names
}

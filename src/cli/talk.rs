//! stdout is the result, stderr is the talk.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::model::diagnostic::plain;
use crate::model::{Diagnostic, Severity};

/// Diagnostics printed in full before the rest is only counted; all of them are in `inventory.json`.
const SHOWN: usize = 40;

/// Headings and names.
pub const BOLD: Style = Style::new().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What is wrong.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// What could be better.
pub const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
/// What is well.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Names to tell apart.
pub const CYAN: Style = AnsiColor::Cyan.on_default();

/// Text in a style.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    quiet: bool,
}

impl Talk {
    /// `quiet` keeps everything but errors off stderr.
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Prints the result. A reader that went away (`| head`) is no error.
    pub fn result(&self, text: &str) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// The same for a result that was written bit by bit.
    pub fn streamed(&self, written: io::Result<()>) -> io::Result<()> {
        match written {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Says something on stderr.
    pub fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Says why nothing could be done.
    pub fn error(&self, text: impl std::fmt::Display) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    /// Prints diagnostics on stderr: errors and warnings in full up to a bound, notes by number.
    pub fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        let mut err = anstream::stderr().lock();
        let findings: Vec<&Diagnostic> =
            diagnostics.iter().filter(|d| d.is_finding() && (!self.quiet || d.severity == Severity::Error)).collect();
        for diagnostic in findings.iter().take(SHOWN) {
            let _ = writeln!(err, "{}", human(diagnostic));
        }
        if self.quiet {
            return;
        }
        if findings.len() > SHOWN {
            let _ = writeln!(err, "… and {} more: {}", findings.len() - SHOWN, by_code(&findings[SHOWN..]));
        }
        let notes: Vec<&Diagnostic> = diagnostics.iter().filter(|d| !d.is_finding()).collect();
        if !notes.is_empty() {
            let _ = writeln!(err, "{} {}", paint(DIM, "notes:"), by_code(&notes));
        }
    }

    /// A bar on stderr when that is a terminal, nothing otherwise.
    pub fn bar(&self, what: &'static str) -> Bar {
        self.bar_like(what, "{msg:>9} {wide_bar} {pos}/{len}")
    }

    /// The same with the time that is likely left.
    pub fn timed_bar(&self, what: &'static str) -> Bar {
        self.bar_like(what, "{msg:>10} {wide_bar} {pos}/{len}, {eta} left")
    }

    fn bar_like(&self, what: &'static str, template: &str) -> Bar {
        if self.quiet || !io::stderr().is_terminal() {
            return Bar(None);
        }
        let bar = ProgressBar::no_length().with_message(what);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Bar(Some(bar))
    }
}

/// Progress of something long.
#[derive(Debug)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// Says something above the bar, or on stderr by itself where none is shown.
    pub fn say(&self, talk: Talk, text: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| talk.say(text)),
            None => talk.say(text),
        }
    }

    /// What is going on.
    pub fn message(&self, text: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(text.to_string());
        }
    }

    /// So much of so much is done.
    pub fn set(&self, done: usize, total: usize) {
        if let Some(bar) = &self.0 {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn by_code(diagnostics: &[&Diagnostic]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for diagnostic in diagnostics {
        *counts.entry(&diagnostic.code).or_default() += 1;
    }
    counts.iter().map(|(code, n)| format!("{n} {code}")).collect::<Vec<_>>().join(", ")
}

/// A diagnostic as people read it: severity and code, reason, place, next step.
pub fn human(diagnostic: &Diagnostic) -> String {
    let style = match diagnostic.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
        Severity::Note => DIM,
    };
    let mut text =
        format!("{}: {}", paint(style, format!("{}[{}]", diagnostic.severity, diagnostic.code)), diagnostic.reason);
    if !diagnostic.place.file.is_empty() {
        text.push_str(&format!("\n  {} {}", paint(DIM, "-->"), plain(diagnostic.place.to_string())));
        if let Some(function) = &diagnostic.function {
            text.push_str(&format!(" {}", paint(DIM, plain(format!("(function {function})")))));
        }
    }
    text.push_str(&format!("\n  {} {}", paint(DIM, "next:"), diagnostic.next_step));
    text
}

//! What a project says about how its files are compiled, as far as it decides which imports are left.

use oxc_ast::ast::Program;

/// Options of the nearest `tsconfig.json`; the default is what TypeScript does without one.
/// <https://www.typescriptlang.org/tsconfig/>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compile {
    /// `verbatimModuleSyntax`: every import without `type` stays.
    pub verbatim: bool,
    /// `preserveValueImports`: names that are not marked as types stay.
    pub keep_names: bool,
    /// `importsNotUsedAsValues: preserve` or `error`: the statement stays, for its side effects.
    pub keep_statements: bool,
    /// `experimentalDecorators` with `emitDecoratorMetadata`: decorated types are values.
    pub decorator_metadata: bool,
    /// What JSX becomes.
    pub jsx: Jsx,
    /// `jsxImportSource`, where it is set.
    pub jsx_source: Option<String>,
    /// The name that classic JSX calls (`jsxFactory`, `reactNamespace`), where it is set.
    pub jsx_factory: Option<String>,
}

/// What JSX becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Jsx {
    /// Calls of a name that the file imports: `React`.
    #[default]
    Classic,
    /// Calls of functions that the compiler imports itself: `react/jsx-runtime`.
    Automatic,
    /// The same with `react/jsx-dev-runtime`.
    AutomaticDev,
}

impl Compile {
    /// The options of one file: `/** @jsx h */` and its like come before what the project says.
    pub(super) fn with_pragmas(&self, program: &Program<'_>) -> Compile {
        let mut options = self.clone();
        let first = program.body.first().map_or(u32::MAX, |statement| oxc_span::GetSpan::span(statement).start);
        for comment in program.comments.iter().filter(|c| c.is_block() && c.span.start < first) {
            let span = comment.content_span();
            let Some(text) = program.source_text.get(span.start as usize..span.end as usize) else { continue };
            let mut words = text.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "@jsxImportSource" => {
                        options.jsx_source = words.next().map(str::to_string);
                        if options.jsx == Jsx::Classic {
                            options.jsx = Jsx::Automatic;
                        }
                    }
                    "@jsxRuntime" => match words.next() {
                        Some("automatic") => options.jsx = Jsx::Automatic,
                        Some("classic") => options.jsx = Jsx::Classic,
                        _ => {}
                    },
                    "@jsx" => options.jsx_factory = words.next().map(str::to_string).or(options.jsx_factory),
                    _ => {}
                }
            }
        }
        options
    }

    /// What the compiler imports for JSX, where it does so itself.
    pub(super) fn jsx_runtime(&self) -> Option<String> {
        let module = match self.jsx {
            Jsx::Classic => return None,
            Jsx::Automatic => "jsx-runtime",
            Jsx::AutomaticDev => "jsx-dev-runtime",
        };
        Some(format!("{}/{module}", self.jsx_source.as_deref().unwrap_or("react")))
    }

    /// The name that classic JSX needs in scope.
    pub(super) fn jsx_name(&self) -> Option<&str> {
        match self.jsx {
            Jsx::Classic => Some(self.jsx_factory.as_deref().unwrap_or("React").split('.').next().unwrap_or("React")),
            Jsx::Automatic | Jsx::AutomaticDev => None,
        }
    }
}

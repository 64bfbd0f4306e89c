//! The little of a Python file that says what it imports, whichever parser read it.

/// `module as name` in an import, `name as name` in a from-import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) name: String,
    pub(super) bound_as: Option<String>,
}

/// What a call is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) keyword: Option<String>,
    pub(super) value: Value,
}

/// As much of an expression as can be known without running it. What it comes to is for [`super::values`] to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u32),
    /// A dotted name.
    Path(String),
    /// The parts of an f-string or a sum.
    Joined(Vec<Value>),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// What the variable of a loop takes, one after the other.
    OneOf(Box<Value>),
    /// `x[0]`
    Index(Box<Value>, u32),
    /// `x.name`, where `x` is no dotted name.
    Attribute(Box<Value>, String),
    /// A call, with its arguments by position.
    Call(Box<Value>, Vec<Value>),
    /// `x / y`
    Slash(Box<Value>, Box<Value>),
    Unknown,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// What an `if` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// A dotted name, or a call.
    Value(Value),
    Not(Box<Test>),
    And(Vec<Test>),
    Or(Vec<Test>),
    Compare(Value, Comparison, Value),
    /// `False`, `0`
    Never,
    Other,
}

/// Statements and expressions that matter, in source order. Offsets are bytes in the decoded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// `import a.b as c, d`
    Import {
        offset: u32,
        names: Vec<Alias>,
    },
    /// `from ..a import b as c`
    From {
        offset: u32,
        level: u32,
        module: String,
        names: Vec<Alias>,
    },
    /// A call of a dotted name.
    Call {
        offset: u32,
        callee: String,
        arguments: Vec<Argument>,
    },
    /// `name = value`
    Bind {
        name: String,
        value: Value,
    },
    If {
        test: Test,
        body: Vec<Node>,
        orelse: Vec<Node>,
    },
    /// `caught` holds the dotted names of all handlers, an empty one for a bare `except`.
    Try {
        caught: Vec<String>,
        body: Vec<Node>,
        handlers: Vec<Node>,
        rest: Vec<Node>,
    },
    /// `managers`: the calls in its items, with the dotted names that they are given.
    With {
        managers: Vec<(String, Vec<String>)>,
        body: Vec<Node>,
    },
    /// The body of a function or lambda.
    Later(Vec<Node>),
}

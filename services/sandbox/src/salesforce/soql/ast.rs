//! A parsed query.

/// `SELECT … FROM … WHERE … ORDER BY … LIMIT … OFFSET …`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) select: Select,
    pub(crate) from: String,
    pub(crate) filter: Option<Expr>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Select {
    /// `COUNT()`: only the number of rows.
    Count,
    /// `FIELDS(ALL)`, `FIELDS(STANDARD)` or `FIELDS(CUSTOM)`.
    Fields(Group),
    Paths(Vec<Path>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    All,
    Standard,
    Custom,
}

/// `Name` or `Account.Owner.Name`.
pub(crate) type Path = Vec<String>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) path: Path,
    pub(crate) descending: bool,
    pub(crate) nulls_last: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare(Path, Op, Literal),
    /// `IN` (true) or `NOT IN` (false).
    Among(Path, bool, Vec<Literal>),
    Like(Path, String),
    /// `INCLUDES` (true) or `EXCLUDES` (false) of a multi-select picklist; each entry is `a;b`, all of which must be
    /// selected.
    Includes(Path, bool, Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Date(String),
    /// In wire form, which sorts as it compares.
    DateTime(String),
}

//! The vendor's query language, as far as its clients and Upwrite's connector use it: one object, fields of it and
//! of its parents, conditions, order, limit, offset, count.

mod ast;
mod eval;
mod lexer;
mod literal;
mod parser;
mod plan;
mod run;

pub(crate) use parser::parse;
pub(crate) use run::{QueryResult, project, run};

//! The filter and order grammar of MLflow's searches: comparisons joined by AND, nothing else.

mod lexer;
mod parser;

pub use parser::{Comparison, Operand, Operator, Order, parse_filter, parse_order};

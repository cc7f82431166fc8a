//! Recorded work as tables of text: columns are found by their names, values are read with the line that they stand in, and
//! whatever is wrong is told with its fix. Readers take text and touch no file.

mod error;
mod table;

pub use error::SimError;
pub use table::{Row, Table};

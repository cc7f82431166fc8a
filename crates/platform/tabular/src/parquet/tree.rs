//! A column of a table as a tree over its leaves: lists, structs and maps.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::schema::types::Type;

use super::kinds::{self, Meaning};
use crate::TabularError;
use crate::limits::CELL_CHARS;

/// A node. `present` is the least definition level at which it is not null.
#[derive(Debug)]
pub(super) struct Node {
    pub present: i16,
    pub shape: Shape,
    /// Its first leaf, counted within the column: the one that tells its levels.
    pub first_leaf: usize,
    /// Leaves below it.
    pub leaves: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Shape {
    Leaf(Meaning),
    Struct(Vec<(Arc<str>, Node)>),
    List(Repeat, Box<Node>),
    Map(Repeat, Box<Node>, Option<Box<Node>>),
}

/// The levels of what is repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeat {
    /// The least definition level at which there is an element.
    pub filled: i16,
    /// The repetition level at which another element of the same list begins.
    pub again: i16,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    pub words: String,
    pub nullable: bool,
    pub node: Node,
    /// Its first leaf, counted over the table.
    pub first_leaf: usize,
}

impl Column {
    /// The column of a field of the schema whose first leaf is `first_leaf`.
    pub fn of(field: &Type, first_leaf: usize) -> Result<Self, TabularError> {
        let mut builder = Builder::default();
        let (node, words) = builder.field(field)?;
        let mut words: String = words;
        if let Some((at, _)) = words.char_indices().nth(CELL_CHARS) {
            words.truncate(at);
            words.push('…');
        }
        Ok(Self {
            name: field.name().to_owned(),
            words,
            nullable: repetition(field) == Repetition::OPTIONAL,
            node,
            first_leaf,
        })
    }

    /// Whether its rows have one value each.
    pub fn is_flat(&self) -> bool {
        matches!(self.node.shape, Shape::Leaf(_))
    }
}

fn repetition(field: &Type) -> Repetition {
    let info = field.get_basic_info();
    if info.has_repetition() {
        info.repetition()
    } else {
        Repetition::REQUIRED
    }
}

/// The levels down to where the tree is being built, whose depth was bounded with the footer.
#[derive(Default)]
struct Builder {
    definition: i16,
    repetition: i16,
    leaves: usize,
}

impl Builder {
    /// A field with its repetition. What is repeated without being marked as a list is one, never null.
    fn field(&mut self, field: &Type) -> Result<(Node, String), TabularError> {
        match repetition(field) {
            Repetition::REQUIRED => self.annotated(field),
            Repetition::OPTIONAL => {
                self.definition += 1;
                let made = self.annotated(field);
                self.definition -= 1;
                made
            }
            Repetition::REPEATED => {
                let (repeat, present) = self.enter();
                let made = self.annotated(field);
                self.leave();
                let (node, words) = made?;
                Ok((list(present, repeat, node), format!("list<{words}>")))
            }
        }
    }

    fn enter(&mut self) -> (Repeat, i16) {
        let present = self.definition;
        self.definition += 1;
        self.repetition += 1;
        let repeat = Repeat {
            filled: self.definition,
            again: self.repetition,
        };
        (repeat, present)
    }

    fn leave(&mut self) {
        self.definition -= 1;
        self.repetition -= 1;
    }

    /// A field without regard to its own repetition.
    fn annotated(&mut self, field: &Type) -> Result<(Node, String), TabularError> {
        if field.is_primitive() {
            let (meaning, words) = kinds::leaf(field);
            let node = Node {
                present: self.definition,
                shape: Shape::Leaf(meaning),
                first_leaf: self.leaves,
                leaves: 1,
            };
            self.leaves += 1;
            return Ok((node, words));
        }
        let info = field.get_basic_info();
        let converted = info.converted_type();
        let logical = info.logical_type_ref();
        let is_list = converted == ConvertedType::LIST || logical == Some(&LogicalType::List);
        let is_map = matches!(converted, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE)
            || logical == Some(&LogicalType::Map);
        // A mark on a group of another shape is not believed: it is shown as the struct that it is.
        match field.get_fields() {
            [only] if repetition(only) == Repetition::REPEATED && is_list => self.list(field, only),
            [only] if repetition(only) == Repetition::REPEATED && is_map && only.is_group() => {
                self.map(field, only)
            }
            _ => self.group(field),
        }
    }

    fn group(&mut self, field: &Type) -> Result<(Node, String), TabularError> {
        let (present, first_leaf) = (self.definition, self.leaves);
        let mut members = Vec::new();
        let mut words = Vec::new();
        for member in field.get_fields() {
            let (node, word) = self.field(member)?;
            if words.len() < CELL_CHARS {
                words.push(format!("{}: {word}", member.name()));
            }
            members.push((Arc::from(member.name()), node));
        }
        if members.is_empty() {
            // Nothing says how many rows such a column has.
            return Err(TabularError::parquet(format!(
                "its group '{}' has no members",
                field.name()
            )));
        }
        let node = Node {
            present,
            shape: Shape::Struct(members),
            first_leaf,
            leaves: self.leaves - first_leaf,
        };
        Ok((node, format!("struct<{}>", words.join(", "))))
    }

    /// The three levels of a list, or the two of old writers: there the repeated field is the element
    /// itself if it is a leaf, has several members, or is named `array` or after the list.
    fn list(&mut self, field: &Type, repeated: &Type) -> Result<(Node, String), TabularError> {
        let (repeat, present) = self.enter();
        let old = repeated.name() == "array" || repeated.name() == format!("{}_tuple", field.name());
        let made = match repeated.is_group().then(|| repeated.get_fields()) {
            Some([element]) if !old => self.field(element),
            _ => self.annotated(repeated),
        };
        self.leave();
        let (node, words) = made?;
        Ok((list(present, repeat, node), format!("list<{words}>")))
    }

    fn map(&mut self, field: &Type, entry: &Type) -> Result<(Node, String), TabularError> {
        let (key, value) = match entry.get_fields() {
            [key] => (key, None),
            [key, value] => (key, Some(value)),
            _ => return self.group(field),
        };
        let (repeat, present) = self.enter();
        let first_leaf = self.leaves;
        let made = self
            .field(key)
            .and_then(|key| Ok((key, value.map(|value| self.field(value)).transpose()?)));
        self.leave();
        let ((key, key_words), value) = made?;
        let (value, value_words) = value.unzip();
        let node = Node {
            present,
            shape: Shape::Map(repeat, Box::new(key), value.map(Box::new)),
            first_leaf,
            leaves: self.leaves - first_leaf,
        };
        let value_words = value_words.as_deref().unwrap_or("null");
        Ok((node, format!("map<{key_words}, {value_words}>")))
    }
}

fn list(present: i16, repeat: Repeat, element: Node) -> Node {
    Node {
        present,
        first_leaf: element.first_leaf,
        leaves: element.leaves,
        shape: Shape::List(repeat, Box::new(element)),
    }
}

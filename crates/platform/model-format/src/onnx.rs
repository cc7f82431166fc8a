//! ONNX: a protobuf message. The walk goes into the messages that matter and over the bytes of tensors, so it reads
//! little of a large file. Fields and types: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use crate::Folder;
use crate::cursor::{Checked, Cursor};

/// Graphs lie in attributes of nodes of graphs: loops and branches.
const DEPTH_MAX: u32 = 32;
/// Paths, names and numbers of external data.
const TEXT_MAX_BYTES: u64 = 4096;
/// `ModelProto` ends at field 26; a little room for later versions.
const FIELD_MAX: u64 = 64;
/// From this version of the format on a model says which operators it uses.
const OPSETS_SINCE: u64 = 3;

/// Checks the whole file; answers what it holds. `path` is its own within `folder`, whose files it may refer to.
pub(crate) fn check(cursor: &mut Cursor<'_>, path: &str, folder: &Folder) -> Checked<String> {
    let size = cursor.size();
    let mut walk = Walk {
        cursor,
        base: path.rsplit_once('/').map_or("", |(base, _)| base),
        folder,
        nodes: 0,
        graphs: 0,
        opsets: 0,
        ir_version: 0,
    };
    walk.message(Kind::Model, size, 0)?;
    let missing = match (walk.ir_version, walk.graphs, walk.opsets) {
        (0, _, _) => Some("it does not say its version (ir_version)"),
        (_, 0, _) => Some("it holds no graph"),
        (OPSETS_SINCE.., _, 0) => Some("it does not say which operators it uses (opset_import)"),
        _ => None,
    };
    match missing {
        Some(what) => walk.cursor.damaged(size, what),
        None => Ok(format!("nodes: {}, IR version {}", walk.nodes, walk.ir_version)),
    }
}

/// The messages that are gone into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Training,
    Function,
    Opset,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Model => "the model",
            Self::Training => "a training step",
            Self::Function => "a function",
            Self::Opset => "a set of operators",
            Self::Graph => "a graph",
            Self::Node => "a node",
            Self::Attribute => "an attribute",
            Self::Sparse => "a sparse tensor",
            Self::Tensor => "a tensor",
        }
    }

    /// The message in a field of this one.
    const fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 8) | (Self::Function, 9) => Self::Opset,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            _ => return None,
        })
    }
}

struct Walk<'a, 'b> {
    cursor: &'a mut Cursor<'b>,
    base: &'a str,
    folder: &'a Folder,
    nodes: u64,
    graphs: u64,
    opsets: u64,
    ir_version: u64,
}

/// A field as read: its number and what it holds.
struct Field {
    at: u64,
    number: u64,
    value: Held,
}

enum Held {
    Number(u64),
    /// Where it ends; the cursor stands at its beginning.
    Until(u64),
    Fixed,
}

impl Walk<'_, '_> {
    fn message(&mut self, kind: Kind, end: u64, depth: u32) -> Checked<()> {
        if depth > DEPTH_MAX {
            return self
                .cursor
                .damaged(self.cursor.at(), "graphs lie too deep in each other");
        }
        if kind == Kind::Tensor {
            return self.tensor(end);
        }
        while self.cursor.at() < end {
            let field = self.field(kind, end)?;
            if kind == Kind::Model && field.number > FIELD_MAX {
                let what = format!("there is no field {} of a model", field.number);
                return self.cursor.damaged(field.at, what);
            }
            match (kind.child(field.number), field.value) {
                (Some(child), Held::Until(to)) => {
                    self.message(child, to, depth + 1)?;
                    self.nodes += u64::from(child == Kind::Node);
                    self.graphs += u64::from((kind, child) == (Kind::Model, Kind::Graph));
                    self.opsets += u64::from((kind, child) == (Kind::Model, Kind::Opset));
                }
                (Some(child), _) => {
                    let what = format!(
                        "{} should be in field {} of {}",
                        child.name(),
                        field.number,
                        kind.name()
                    );
                    return self.cursor.damaged(field.at, what);
                }
                (None, Held::Until(to)) => self.cursor.seek(to),
                (None, Held::Number(number)) if (kind, field.number) == (Kind::Model, 1) => {
                    self.ir_version = number
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn field(&mut self, kind: Kind, end: u64) -> Checked<Field> {
        let at = self.cursor.at();
        let tag = self.varint(end)?;
        let (number, wire) = (tag >> 3, tag & 7);
        if number == 0 {
            return self
                .cursor
                .damaged(at, format!("{} has a field without a number", kind.name()));
        }
        let value = match wire {
            0 => Held::Number(self.varint(end)?),
            1 | 5 => {
                self.within(if wire == 1 { 8 } else { 4 }, end, kind)?;
                self.cursor.skip(if wire == 1 { 8 } else { 4 })?;
                Held::Fixed
            }
            2 => {
                let length = self.varint(end)?;
                self.within(length, end, kind)?;
                Held::Until(self.cursor.at() + length)
            }
            other => {
                let what = format!(
                    "{} has a field of no wire type that there is ({other})",
                    kind.name()
                );
                return self.cursor.damaged(at, what);
            }
        };
        Ok(Field { at, number, value })
    }

    fn within(&self, bytes: u64, end: u64, kind: Kind) -> Checked<()> {
        let (at, left) = (self.cursor.at(), end.saturating_sub(self.cursor.at()));
        match bytes > left {
            true => self.cursor.damaged(
                at,
                format!(
                    "a part of {} should have {bytes} bytes and {left} are left",
                    kind.name()
                ),
            ),
            false => Ok(()),
        }
    }

    fn varint(&mut self, end: u64) -> Checked<u64> {
        let start = self.cursor.at();
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            if self.cursor.at() >= end {
                return self.cursor.damaged(start, "it ends inside a number");
            }
            let byte = self.cursor.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.cursor.damaged(start, "a number has more than ten bytes")
    }

    fn tensor(&mut self, end: u64) -> Checked<()> {
        let start = self.cursor.at();
        let (mut elements, mut data_type, mut raw) = (Some(1_u64), 0, None);
        let (mut is_external, mut is_typed, mut external) = (false, false, External::default());
        while self.cursor.at() < end {
            let field = self.field(Kind::Tensor, end)?;
            match (field.number, field.value) {
                (1, Held::Number(side)) => elements = elements.and_then(|product| product.checked_mul(side)),
                (1, Held::Until(to)) => {
                    while self.cursor.at() < to {
                        let side = self.varint(to)?;
                        elements = elements.and_then(|product| product.checked_mul(side));
                    }
                }
                (2, Held::Number(number)) => data_type = number,
                (9, Held::Until(to)) => {
                    raw = Some(to - self.cursor.at());
                    self.cursor.seek(to);
                }
                // Numbers of their own type, packed.
                (4 | 5 | 7 | 10 | 11, Held::Until(to)) => {
                    is_typed |= to > self.cursor.at();
                    self.cursor.seek(to);
                }
                (13, Held::Until(to)) => self.entry(to, &mut external)?,
                (14, Held::Number(place)) => is_external = place == 1,
                (_, Held::Until(to)) => self.cursor.seek(to),
                _ => {}
            }
        }
        let expected = elements.and_then(|elements| bytes_of(data_type, elements));
        // Some writers leave empty bytes beside numbers of a type.
        let raw = raw.filter(|raw| *raw > 0 || !is_typed);
        if let (Some(raw), Some(expected)) = (raw, expected)
            && raw != expected
        {
            let what = format!("a tensor needs {expected} bytes and has {raw}");
            return self.cursor.damaged(start, what);
        }
        match is_external {
            true => self.external(start, &external, expected),
            false => Ok(()),
        }
    }

    /// One `key: value` of where external data lies.
    fn entry(&mut self, end: u64, external: &mut External) -> Checked<()> {
        let (mut key, mut value) = (String::new(), String::new());
        let at = self.cursor.at();
        while self.cursor.at() < end {
            let field = self.field(Kind::Tensor, end)?;
            let Held::Until(to) = field.value else { continue };
            let length = to - self.cursor.at();
            if length > TEXT_MAX_BYTES {
                return self
                    .cursor
                    .damaged(field.at, "the place of external data is too long");
            }
            let text = String::from_utf8_lossy(&self.cursor.take(length)?).into_owned();
            match field.number {
                1 => key = text,
                2 => value = text,
                _ => {}
            }
        }
        let number = || match value.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => self
                .cursor
                .damaged(at, format!("the {key} of external data is not a number")),
        };
        match key.as_str() {
            "offset" => external.offset = number()?,
            "length" => external.length = number()?,
            "location" => external.location = value,
            _ => {}
        }
        Ok(())
    }

    /// What lies in another file must lie in one of the model's folder, within its bytes.
    fn external(&self, at: u64, external: &External, expected: Option<u64>) -> Checked<()> {
        let location = external.location.as_str();
        let shown: String = location.chars().take(120).collect();
        let climbs = location.split('/').any(|part| part == "..");
        if location.is_empty() || climbs || location.starts_with('/') || location.contains(['\\', '\0', ':'])
        {
            let what = format!("it refers to data outside of its folder: '{shown}'");
            return self.cursor.damaged(at, what);
        }
        let parts = self.base.split('/').chain(location.split('/'));
        let whole: Vec<&str> = parts.filter(|part| !part.is_empty() && *part != ".").collect();
        let Some(size) = self.folder.get(&whole.join("/")) else {
            return self
                .cursor
                .damaged(at, format!("it refers to '{shown}', which is not there"));
        };
        let offset = external.offset.unwrap_or(0);
        let length = external.length.or(expected).unwrap_or(0);
        if let (Some(expected), Some(given)) = (expected, external.length)
            && expected != given
        {
            let what = format!("a tensor needs {expected} bytes and '{shown}' has {given} for it");
            return self.cursor.damaged(at, what);
        }
        match offset.checked_add(length) {
            Some(to) if to <= *size => Ok(()),
            _ => {
                let what = format!("it refers to {length} bytes at {offset} of '{shown}', which has {size}");
                self.cursor.damaged(at, what)
            }
        }
    }
}

#[derive(Default)]
struct External {
    location: String,
    offset: Option<u64>,
    length: Option<u64>,
}

/// Bytes of so many elements; none for text and for types that are newer than this.
fn bytes_of(data_type: u64, elements: u64) -> Option<u64> {
    let each = match data_type {
        2 | 3 | 9 | 17..=20 | 24 => 1,
        4 | 5 | 10 | 16 => 2,
        1 | 6 | 12 => 4,
        7 | 11 | 13 | 14 => 8,
        15 => 16,
        21..=23 => return Some(elements.div_ceil(2)),
        _ => return None,
    };
    elements.checked_mul(each)
}

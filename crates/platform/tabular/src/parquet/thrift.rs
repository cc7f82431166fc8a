//! A walk over Thrift's compact protocol that allocates nothing.
//!
//! The `parquet` crate decodes footers and page headers itself; this walk comes first and refuses what would
//! make that allocate or recurse without bound. It also reads page headers, whose type is private there.

use crate::TabularError;
use crate::limits::NESTING;

/// The types of fields and elements.
pub(super) mod kind {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

/// Why a walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end within a value; there may be more of them.
    End,
    /// No continuation makes it valid.
    Bad(&'static str),
    /// More structures than allowed.
    TooMany,
}

impl Fault {
    /// The error, with the name of what was being read.
    pub fn of(self, what: &str) -> TabularError {
        match self {
            Self::End => TabularError::parquet(format!("{what} is cut short")),
            Self::Bad(problem) => TabularError::parquet(format!("{what} is damaged: {problem}")),
            Self::TooMany => TabularError::too_large(
                format!("the number of structures in {what}"),
                crate::limits::FOOTER_STRUCTS.to_string(),
            ),
        }
    }
}

/// A place in the bytes.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    structs_left: usize,
}

impl<'a> Walk<'a> {
    pub fn new(bytes: &'a [u8], structs: usize) -> Self {
        Self {
            bytes,
            at: 0,
            structs_left: structs,
        }
    }

    /// Bytes walked over.
    pub fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::End)?;
        self.at += 1;
        Ok(byte)
    }

    fn advance(&mut self, count: u64) -> Result<(), Fault> {
        let left = (self.bytes.len() - self.at) as u64;
        if count > left {
            return Err(Fault::End);
        }
        // It is no more than what is left of a slice.
        self.at += usize::try_from(count).unwrap_or(0);
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::Bad("a number has more than 64 bits"))
    }

    /// A signed number of any width.
    pub fn signed(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Walks over a structure; `each` is called for every field with its id and type, and has to walk over
    /// its value.
    pub fn fields(
        &mut self,
        depth: usize,
        mut each: impl FnMut(&mut Self, i64, u8) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if depth > NESTING {
            return Err(Fault::Bad("its structures are nested too deeply"));
        }
        self.structs_left = self.structs_left.checked_sub(1).ok_or(Fault::TooMany)?;
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            let field = head & 0x0f;
            if field == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.signed()?,
                delta => id + i64::from(delta),
            };
            if !(0..=i64::from(i16::MAX)).contains(&id) {
                return Err(Fault::Bad("a field has no valid number"));
            }
            each(self, id, field)?;
        }
    }

    /// The type and number of the elements of a list, whose values come next.
    pub fn list(&mut self) -> Result<(u8, u64), Fault> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        // Each element takes at least a byte.
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(Fault::End);
        }
        Ok((head & 0x0f, count))
    }

    /// Walks over a value of a type.
    pub fn skip(&mut self, field: u8, depth: usize) -> Result<(), Fault> {
        if depth > NESTING {
            return Err(Fault::Bad("its structures are nested too deeply"));
        }
        match field {
            kind::TRUE | kind::FALSE => Ok(()),
            kind::BYTE => self.advance(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(|_| ()),
            kind::DOUBLE => self.advance(8),
            kind::UUID => self.advance(16),
            kind::BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            kind::LIST | kind::SET => {
                let (element, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(element, depth + 1))
            }
            kind::MAP => {
                let count = self.varint()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth + 1)?;
                    self.skip_element(kinds & 0x0f, depth + 1)
                })
            }
            kind::STRUCT => self.fields(depth, |walk, _, field| walk.skip(field, depth + 1)),
            _ => Err(Fault::Bad("a field has no valid type")),
        }
    }

    /// In a field the type is the truth value; as an element it takes a byte.
    fn skip_element(&mut self, element: u8, depth: usize) -> Result<(), Fault> {
        match element {
            kind::TRUE | kind::FALSE => self.advance(1),
            other => self.skip(other, depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_structures_are_walked_and_bounded() {
        // Field 1 is a list of two numbers, field 2 a structure with a text.
        let bytes = [0x19, 0x25, 0x02, 0x04, 0x1c, 0x18, 0x02, b'h', b'i', 0x00, 0x00];
        let mut walk = Walk::new(&bytes, 10);
        walk.skip(kind::STRUCT, 0).unwrap();
        assert_eq!(walk.position(), bytes.len());
        for cut in 0..bytes.len() {
            assert_eq!(
                Walk::new(&bytes[..cut], 10).skip(kind::STRUCT, 0),
                Err(Fault::End)
            );
        }
        assert_eq!(Walk::new(&bytes, 1).skip(kind::STRUCT, 0), Err(Fault::TooMany));
    }

    #[test]
    fn depth_does_not_end_in_the_stack() {
        let deep = vec![0x1c; 1 << 20];
        assert!(matches!(
            Walk::new(&deep, 1 << 21).skip(kind::STRUCT, 0),
            Err(Fault::Bad(_))
        ));
        let lists = vec![0x19; 1 << 20];
        assert!(matches!(
            Walk::new(&lists, 9).skip(kind::LIST, 0),
            Err(Fault::Bad(_))
        ));
    }

    #[test]
    fn a_count_without_elements_is_refused_at_once() {
        let claims = [0xf5, 0xff, 0xff, 0xff, 0xff, 0x07];
        assert_eq!(Walk::new(&claims, 9).skip(kind::LIST, 0), Err(Fault::End));
        let map = [0xff, 0xff, 0xff, 0xff, 0x07, 0x55];
        assert_eq!(Walk::new(&map, 9).skip(kind::MAP, 0), Err(Fault::End));
    }

    #[test]
    fn signed_numbers_are_zigzag() {
        assert_eq!(Walk::new(&[0x03], 0).signed(), Ok(-2));
        assert_eq!(Walk::new(&[0xac, 0x02], 0).signed(), Ok(150));
        assert!(matches!(Walk::new(&[0xff; 11], 0).signed(), Err(Fault::Bad(_))));
    }
}

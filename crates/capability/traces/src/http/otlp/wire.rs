//! The protobuf encoding, read field by field. Written by hand because a general decoder makes a value of every two
//! bytes that say so, and what that costs in memory must be bounded before it is made.

use std::fmt;

/// Bytes that are not what they should be, or too much of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// They are not this encoding.
    Malformed(&'static str),
    /// They hold more values than one call may.
    TooMany,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => f.write_str(why),
            Self::TooMany => f.write_str("there are too many values"),
        }
    }
}

/// How many more values a call may hold.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn new(values: usize) -> Self {
        Self(values)
    }

    pub(super) fn take(&mut self) -> Result<(), Broken> {
        self.0 = self.0.checked_sub(1).ok_or(Broken::TooMany)?;
        Ok(())
    }
}

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    /// A message, bytes or text.
    pub(super) fn bytes(self) -> Result<&'a [u8], Broken> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Broken::Malformed("a field has the wrong wire type")),
        }
    }

    pub(super) fn text(self) -> Result<String, Broken> {
        std::str::from_utf8(self.bytes()?)
            .map(str::to_owned)
            .map_err(|_| Broken::Malformed("a text is not UTF-8"))
    }

    pub(super) fn varint(self) -> Result<u64, Broken> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(Broken::Malformed("a field has the wrong wire type")),
        }
    }

    pub(super) fn fixed64(self) -> Result<u64, Broken> {
        match self {
            Self::Fixed64(number) => Ok(number),
            _ => Err(Broken::Malformed("a field has the wrong wire type")),
        }
    }
}

/// The fields of a message, in the order sent.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field with its number; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Broken> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| CUT)?;
                Field::Bytes(self.take(length)?)
            }
            5 => {
                let _: [u8; 4] = self.array()?;
                Field::Fixed32
            }
            _ => return Err(Broken::Malformed("a field has an unknown wire type")),
        };
        match key >> 3 {
            0 => Err(Broken::Malformed("a field has the number 0")),
            number => Ok(Some((number, field))),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().map_err(|_| CUT)
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            // Of the tenth byte, bits beyond the 64th fall away, as in every implementation.
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Broken::Malformed("a number is longer than 64 bits"))
    }
}

const CUT: Broken = Broken::Malformed("a field is cut short");

/// Appends a field of bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field that is a number.
pub(super) fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 3, u64::MAX);
        put_bytes(&mut bytes, 200, b"abc");
        bytes.extend([0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 0, 0]);
        let mut fields = Fields::of(&bytes);
        assert_eq!(fields.next(), Ok(Some((3, Field::Varint(u64::MAX)))));
        assert_eq!(fields.next(), Ok(Some((200, Field::Bytes(b"abc")))));
        assert_eq!(fields.next(), Ok(Some((1, Field::Fixed64(1)))));
        assert_eq!(fields.next(), Ok(Some((2, Field::Fixed32))));
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_refused() {
        for bytes in [
            &[0x08][..],
            &[0x0a, 5, 1],
            &[0x09, 1],
            &[0x0b],
            &[0x00, 1],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert!(Fields::of(bytes).next().is_err(), "{bytes:?}");
        }
    }
}

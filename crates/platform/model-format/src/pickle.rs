//! Recognises pickles by their operations, none of which is carried out.
//!
//! From protocol 2 on a pickle says what it is in its first byte. Before that it is any sequence of operations, so the
//! file is walked: text and tables do not happen to be one that ends with the file.

/// How a file's first operation reads.
const PROTO: u8 = 0x80;
const STOP: u8 = b'.';

/// What the beginning of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is none.
    No,
    /// It is one that names things to import, or says that it is one.
    Pickle,
    /// It is one, but of plain values: it could be other things too.
    Plain,
}

/// Looks at the beginning of a file; `is_whole` says that there is no more of it.
pub(crate) fn look(head: &[u8], is_whole: bool) -> Found {
    if let [PROTO, 2..=5, next, ..] = head {
        return match operand(*next) {
            Some(_) => Found::Pickle,
            None => Found::No,
        };
    }
    walk(head, is_whole)
}

/// What follows an operation.
#[derive(Debug, Clone, Copy)]
enum Operand {
    Bytes(usize),
    Lines(usize),
    /// A length of so many bytes, and that much.
    Counted(usize),
}

fn operand(operation: u8) -> Option<Operand> {
    use Operand::{Bytes, Counted, Lines};
    Some(match operation {
        b'(' | STOP | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b'a' | b'b' | b'd' | b'e' | b'l' | b'o'
        | b's' | b't' | b'u' | b')' | b'}' | b']' => Bytes(0),
        0x81 | 0x85..=0x89 | 0x8f..=0x94 | 0x97 | 0x98 => Bytes(0),
        b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => Lines(1),
        b'c' | b'i' => Lines(2),
        b'K' | b'h' | b'q' | PROTO | 0x82 => Bytes(1),
        b'M' | 0x83 => Bytes(2),
        b'J' | b'j' | b'r' | 0x84 => Bytes(4),
        b'G' | 0x95 => Bytes(8),
        b'U' | b'C' | 0x8a | 0x8c => Counted(1),
        b'T' | b'X' | b'B' | 0x8b => Counted(4),
        0x8d | 0x8e | 0x96 => Counted(8),
        _ => return None,
    })
}

fn walk(head: &[u8], is_whole: bool) -> Found {
    let (mut at, mut imports) = (0, 0_u32);
    while let Some(operation) = head.get(at) {
        let Some(operand) = operand(*operation) else {
            return Found::No;
        };
        at += 1;
        if *operation == STOP {
            return match (at == head.len() && is_whole, imports) {
                (false, _) => Found::No,
                (true, 0) => Found::Plain,
                (true, _) => Found::Pickle,
            };
        }
        let rest = head.get(at..).unwrap_or_default();
        let length = match operand {
            Operand::Bytes(count) => Some(count),
            Operand::Lines(lines) => lines_of(rest, lines),
            Operand::Counted(width) => counted(rest, width),
        };
        if matches!(operation, b'c' | b'i') {
            let name = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
            if !name.iter().all(is_name) || name.first().is_none_or(u8::is_ascii_digit) {
                return Found::No;
            }
            imports += 1;
        }
        match length.and_then(|length| at.checked_add(length)) {
            Some(next) => at = next,
            None => break,
        }
    }
    // The rest of it was not looked at.
    match imports > 0 && !is_whole {
        true => Found::Pickle,
        false => Found::No,
    }
}

/// How long so many lines are, with their ends; none if they do not end here.
fn lines_of(rest: &[u8], lines: usize) -> Option<usize> {
    let mut ends = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(lines.checked_sub(1)?).map(|(at, _)| at + 1)
}

fn counted(rest: &[u8], width: usize) -> Option<usize> {
    let mut number = [0; 8];
    number.get_mut(..width)?.copy_from_slice(rest.get(..width)?);
    usize::try_from(u64::from_le_bytes(number))
        .ok()?
        .checked_add(width)
}

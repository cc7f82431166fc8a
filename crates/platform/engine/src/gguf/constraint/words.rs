//! What llguidance says of a format that it cannot follow, in words of whoever wrote the format. Pure.

/// Characters of what it says, or of a pattern, that an error repeats.
const SAID_MAX: usize = 160;
/// Characters of a pattern before and from the place where it goes wrong.
const PIECE: (usize, usize) = (10, 20);

/// What kind of thing cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `oneOf` whose alternatives may hold together.
    Alternatives,
    /// Bounds of a number.
    Bounds,
    /// How many properties there are.
    Count,
    /// Patterns of names that may hold together.
    Names,
    /// A regular expression.
    Pattern,
    /// What a schema refers to.
    Reference,
    /// It is too large.
    Work,
    /// No text is an answer.
    Nothing,
    Other,
}

impl Fault {
    /// The keywords of a schema that it is about, of which one is there.
    pub const fn keywords(self) -> &'static [&'static str] {
        match self {
            Self::Alternatives => &["oneOf"],
            Self::Bounds => &["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"],
            Self::Count => &["minProperties", "maxProperties"],
            Self::Names => &["patternProperties"],
            Self::Pattern => &["pattern", "patternProperties"],
            Self::Reference => &["$ref"],
            Self::Work | Self::Nothing | Self::Other => &[],
        }
    }
}

/// What was said, told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub fault: Fault,
    /// What follows the name of what is at fault.
    pub text: String,
}

/// Tells what llguidance said.
pub(super) fn of(said: &str) -> Words {
    let fault = fault(said);
    let text = match fault {
        Fault::Alternatives => {
            "has alternatives of which a value may fit several, and that it fits one alone cannot be ensured: use anyOf, \
             or give each alternative a required property with another const"
                .to_owned()
        }
        Fault::Bounds => "is a bound that numbers cannot be held to: use whole numbers, or fewer digits".to_owned(),
        Fault::Count => {
            "can be held only where no property may be left out: name all of properties in required, or leave this out"
                .to_owned()
        }
        Fault::Names => "has patterns that one name may fit together, or may: let each exclude the others".to_owned(),
        Fault::Pattern => pattern(said),
        Fault::Reference if said.contains("circular") => {
            "leads back to itself, with other keywords beside it: put these into what it refers to".to_owned()
        }
        Fault::Reference => "refers to nothing: names in it are written as they are, without %".to_owned(),
        Fault::Work => {
            "is too much work to follow: make it smaller, with fewer alternatives and lower counts".to_owned()
        }
        Fault::Nothing => nothing(said),
        Fault::Other => format!("cannot be followed: {}", line(said)),
    };
    Words { fault, text }
}

fn fault(said: &str) -> Fault {
    const SIGNS: &[(&str, Fault)] = &[
        ("Unsatisfiable schema", Fault::Nothing),
        ("NoExtension", Fault::Nothing),
        ("oneOf constraints", Fault::Alternatives),
        ("float range", Fault::Bounds),
        ("integer range", Fault::Bounds),
        ("min/maxProperties", Fault::Count),
        ("patternProperty regexes", Fault::Names),
        ("regex parse error", Fault::Pattern),
        ("invalid regex", Fault::Pattern),
        ("lookarounds", Fault::Pattern),
        ("if regex is empty", Fault::Pattern),
        ("circular references", Fault::Reference),
        ("Reference segment", Fault::Reference),
        ("TooComplex", Fault::Work),
        ("too big", Fault::Work),
        ("too large", Fault::Work),
        ("too many", Fault::Work),
        ("fuel", Fault::Work),
        ("level exceeded", Fault::Work),
    ];
    if line(said).is_empty() {
        return Fault::Nothing;
    }
    let sign = SIGNS.iter().find(|(sign, _)| said.contains(sign));
    sign.map_or(Fault::Other, |(_, fault)| *fault)
}

/// Why nothing fits, where that is told in words of schemas.
fn nothing(said: &str) -> String {
    const NOTHING: &str = "is fitted by no answer";
    let why = said
        .rsplit("Unsatisfiable schema: ")
        .next()
        .map(line)
        .unwrap_or_default();
    if why.contains(" is greater than ") || why.contains(" is equal to ") {
        return format!("{NOTHING}: {why}");
    }
    let known = [
        ("schema is false", "it is false"),
        ("contains no integer", "no whole number lies between its bounds"),
        (
            "not contain a multiple",
            "no number of multipleOf lies between its bounds",
        ),
        ("incompatible types", "it joins different types"),
        ("incompatible boolean", "it joins true and false"),
        (
            "minProperties > maxProperties",
            "minProperties is greater than maxProperties",
        ),
        (
            "required > maxProperties",
            "more names are required than maxProperties allows",
        ),
        (
            "length constraints",
            "a constant has not the length that is asked for",
        ),
        ("Regex is empty", "its pattern fits no text of its length"),
    ];
    match known.iter().find(|(sign, _)| why.contains(sign)) {
        Some((_, why)) => format!("{NOTHING}: {why}"),
        None => NOTHING.to_owned(),
    }
}

/// What is wrong with a pattern, and the piece of it where it goes wrong.
fn pattern(said: &str) -> String {
    if said.contains("lookarounds") {
        return "looks around, which cannot be followed: leave out (?=, (?!, (?<=, (?<!, \\b, and ^ and \
                $ but at its ends"
            .to_owned();
    }
    if said.contains("if regex is empty") {
        return "is too much work beside minLength and maxLength: make it simpler, or leave them out"
            .to_owned();
    }
    let lines: Vec<&str> = said.lines().collect();
    let why = lines
        .iter()
        .rev()
        .find_map(|line| line.trim().strip_prefix("error: "));
    let why = line(why.unwrap_or("it cannot be read"));
    let mark = |line: &&str| !line.trim().is_empty() && line.trim().bytes().all(|byte| byte == b'^');
    let piece = lines.iter().position(mark).filter(|at| *at > 0).map(|at| {
        let before = lines[at].bytes().take_while(|byte| *byte == b' ').count();
        let from = before.saturating_sub(PIECE.0);
        let piece = lines[at - 1].chars().skip(from).take(before - from + PIECE.1);
        piece.collect::<String>().trim().to_owned()
    });
    match piece {
        Some(piece) => format!("is no regular expression: {why}, at '{piece}'"),
        None => format!("is no regular expression: {why}"),
    }
}

/// The first line, without what is only for llguidance's own authors, of bounded length.
fn line(said: &str) -> String {
    let said = said.split("<non-verbose/>").next().unwrap_or_default().trim();
    let line = said.lines().next().unwrap_or_default();
    match line.char_indices().nth(SAID_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_llguidances_authors_understand_is_not_told() {
        for (said, fault, words) in [
            ("", Fault::Nothing, "fitted by no answer"),
            (
                "NoExtensionBias\n<non-verbose/>",
                Fault::Nothing,
                "fitted by no answer",
            ),
            (
                "Unsatisfiable schema: required property 'a' is unsatisfiable: Unsatisfiable schema: minimum (3) is greater \
                 than maximum (2)",
                Fault::Nothing,
                "answer: minimum (3) is greater than maximum (2)",
            ),
            (
                "oneOf constraints are not supported. Enable 'coerce_one_of' option to approximate oneOf with anyOf",
                Fault::Alternatives,
                "use anyOf",
            ),
            ("too many items\n<non-verbose/>", Fault::Work, "too much work"),
            ("ParserTooComplex", Fault::Work, "fewer alternatives"),
            (
                "lookarounds not supported yet; Look(WordAscii)",
                Fault::Pattern,
                "leave out (?=",
            ),
            (
                "at 1(7): unknown name: \"b\"\nmore",
                Fault::Other,
                "followed: at 1(7): unknown name: \"b\"",
            ),
        ] {
            let told = of(said);
            assert_eq!(told.fault, fault, "{said}");
            assert!(told.text.contains(words), "{}", told.text);
            assert!(
                !told.text.contains("coerce") && !told.text.contains('\n'),
                "{}",
                told.text
            );
        }
        assert!(of(&"x".repeat(9_000)).text.chars().count() < 250);
    }

    #[test]
    fn of_a_pattern_only_the_piece_that_is_wrong_is_told() {
        let (before, behind) = ("a".repeat(400), "b".repeat(400));
        let said = format!(
            "invalid regex: regex parse error:\n    {before}({behind}\n    {}^\nerror: unclosed group",
            " ".repeat(400)
        );
        let told = of(&said).text;
        assert!(told.contains("unclosed group, at 'aaaaaaaaaa(bb"), "{told}");
        assert!(told.chars().count() < 120, "{told}");
    }
}

//! Trigger conditions: `trap.reason == tcp-rst`, `lookup.miss && !parser.valid`, `table.stash > 3`.
//!
//! ```text
//! condition  = both { "||" both }
//! both       = one { "&&" one }
//! one        = "!" one | "(" condition ")" | signal [ operator value ]
//! operator   = "==" | "!=" | "<" | "<=" | ">" | ">="
//! value      = decimal | "0x" hexadecimal | name of a value of an enumeration
//! ```
//! A signal is named by its path or the end of it. Without an operator it holds while the signal is not 0. The trigger
//! fires when the condition comes true.

use crate::signal::{Design, SignalId};

/// Parentheses and negations within each other.
const DEEPEST: usize = 64;

/// Why a condition is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// Something else was expected.
    #[error("at character {at}: expected {expected}, found {found}")]
    Syntax {
        /// Where, from 1.
        at: usize,
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Too many parentheses or negations within each other.
    #[error("more than {DEEPEST} parentheses or negations within each other")]
    TooDeep,
    /// There is no such signal.
    #[error("no signal is called {name:?}; {hint}")]
    NoSignal {
        /// What was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// More than one signal is called so.
    #[error("{name:?} may be any of {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What there is.
        candidates: Vec<String>,
    },
    /// The signal has no such value.
    #[error("{value:?} is no value of {signal}: {hint}")]
    NoValue {
        /// What was asked for.
        value: String,
        /// Of which signal.
        signal: String,
        /// What there is.
        hint: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Compare(usize, Operator, u64),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// A condition on the signals of a design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    condition: Condition,
    signals: Vec<u32>,
}

impl Trigger {
    /// The condition in a text.
    ///
    /// # Errors
    /// It is not one, or names signals or values that do not exist.
    pub fn parse(text: &str, design: &Design) -> Result<Self, TriggerError> {
        let mut parser = Parser {
            text,
            at: 0,
            depth: 0,
            design,
        };
        let condition = parser.any()?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.expected("&&, || or the end"));
        }
        let mut signals = Vec::new();
        collect(&condition, &mut signals);
        signals.sort_unstable();
        signals.dedup();
        Ok(Self { condition, signals })
    }

    /// Whether it may depend on a signal.
    pub(crate) fn looks_at(&self, signal: u32) -> bool {
        self.signals.binary_search(&signal).is_ok()
    }

    /// Whether it is true while the signals have these values.
    pub(crate) fn holds(&self, values: &[u64]) -> bool {
        holds(&self.condition, values)
    }
}

fn holds(condition: &Condition, values: &[u64]) -> bool {
    match condition {
        Condition::Not(inner) => !holds(inner, values),
        Condition::All(all) => all.iter().all(|one| holds(one, values)),
        Condition::Any(any) => any.iter().any(|one| holds(one, values)),
        Condition::Compare(signal, operator, value) => {
            let (now, value) = (values[*signal], *value);
            match operator {
                Operator::Equal => now == value,
                Operator::NotEqual => now != value,
                Operator::Less => now < value,
                Operator::AtMost => now <= value,
                Operator::Greater => now > value,
                Operator::AtLeast => now >= value,
            }
        }
    }
}

fn collect(condition: &Condition, signals: &mut Vec<u32>) {
    match condition {
        Condition::Not(inner) => collect(inner, signals),
        Condition::All(several) | Condition::Any(several) => {
            several.iter().for_each(|one| collect(one, signals));
        }
        Condition::Compare(signal, ..) => signals.push(*signal as u32),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    design: &'a Design,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn word(&mut self) -> &'a str {
        self.space();
        let rest = self.rest();
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn expected(&self, expected: &'static str) -> TriggerError {
        let found = match self.rest().chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        TriggerError::Syntax {
            at: self.text[..self.at].chars().count() + 1,
            expected,
            found,
        }
    }

    fn any(&mut self) -> Result<Condition, TriggerError> {
        let mut several = vec![self.all()?];
        while self.take("||") {
            several.push(self.all()?);
        }
        Ok(Condition::Any(several))
    }

    fn all(&mut self) -> Result<Condition, TriggerError> {
        let mut several = vec![self.one()?];
        while self.take("&&") {
            several.push(self.one()?);
        }
        Ok(Condition::All(several))
    }

    fn one(&mut self) -> Result<Condition, TriggerError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(TriggerError::TooDeep);
        }
        let condition = if self.take("(") {
            let inner = self.any()?;
            if !self.take(")") {
                return Err(self.expected("&&, || or )"));
            }
            inner
        } else if !self.rest().starts_with("!=") && self.take("!") {
            Condition::Not(Box::new(self.one()?))
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, TriggerError> {
        let name = self.word();
        if name.is_empty() {
            return Err(self.expected("a signal"));
        }
        let signal = self.signal(name)?;
        let operator = OPERATORS.iter().find(|(token, _)| self.take(token));
        let Some((_, operator)) = operator else {
            return Ok(Condition::Compare(signal.0, Operator::NotEqual, 0));
        };
        let value = self.word();
        if value.is_empty() {
            return Err(self.expected("a value"));
        }
        Ok(Condition::Compare(
            signal.0,
            *operator,
            self.value(signal, value)?,
        ))
    }

    fn signal(&self, name: &str) -> Result<SignalId, TriggerError> {
        let found = self.design.find(name);
        let names = |ids: &[SignalId]| ids.iter().map(|id| self.design.name(*id)).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(TriggerError::NoSignal {
                name: name.to_owned(),
                hint: self.alike(name),
            }),
            several => Err(TriggerError::Ambiguous {
                name: name.to_owned(),
                candidates: names(several),
            }),
        }
    }

    /// The signals of the same unit, or else of the same name, or else the units.
    fn alike(&self, name: &str) -> String {
        let (unit, last) = name.rsplit_once('.').unwrap_or((name, name));
        let paths: Vec<String> = self.design.signals().map(|(path, _)| path).collect();
        let in_unit = |path: &&String| {
            let scope = path.rsplit_once('.').map_or("", |(scope, _)| scope);
            scope == unit || scope.ends_with(&format!(".{unit}"))
        };
        let list = |some: Vec<&String>| {
            let some: Vec<&str> = some.into_iter().map(String::as_str).collect();
            some.join(", ")
        };
        let siblings: Vec<&String> = paths.iter().filter(in_unit).collect();
        if !siblings.is_empty() {
            return format!("there are {}", list(siblings));
        }
        let alike: Vec<&String> = paths.iter().filter(|path| path.contains(last)).collect();
        if !alike.is_empty() {
            return format!("there are {}", list(alike));
        }
        let scopes: Vec<&str> = self.design.scopes().collect();
        format!("there are signals in {}", scopes.join(", "))
    }

    fn value(&self, signal: SignalId, text: &str) -> Result<u64, TriggerError> {
        let labels = self.design.labels(signal);
        if let Some((value, _)) = labels.iter().find(|(_, label)| label == text) {
            return Ok(*value);
        }
        // The end of one name: `rst` of `tcp-rst`.
        let mut ends = labels
            .iter()
            .filter(|(_, label)| label.ends_with(&format!("-{text}")));
        if let (Some((value, _)), None) = (ends.next(), ends.next()) {
            return Ok(*value);
        }
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.map_err(|_| {
            let names: Vec<&str> = labels.iter().map(|(_, label)| label.as_str()).collect();
            let hint = if names.is_empty() {
                "expected a number".to_owned()
            } else {
                format!("expected a number or one of {}", names.join(", "))
            };
            TriggerError::NoValue {
                value: text.to_owned(),
                signal: self.design.name(signal),
                hint,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn design() -> Design {
        let mut design = Design::new();
        let trap = design.scope("board.trap");
        let lookup = design.scope("board.lookup");
        design.signal(trap, "valid", 1);
        let reason = design.signal(trap, "reason", 4);
        design.enumerate(reason, [(15, "none"), (2, "tcp-fin"), (3, "tcp-rst")]);
        design.signal(lookup, "valid", 1);
        design.signal(lookup, "cookie", 32);
        design
    }

    fn holds(text: &str, values: [u64; 4]) -> bool {
        Trigger::parse(text, &design()).expect(text).holds(&values)
    }

    #[test]
    fn conditions_mean_what_they_say() {
        assert!(holds("trap.reason==rst", [0, 3, 0, 0]));
        assert!(holds("board.trap.reason == tcp-rst", [0, 3, 0, 0]));
        assert!(!holds("trap.reason==rst", [0, 2, 0, 0]));
        assert!(holds("lookup.valid && cookie==0x10", [0, 0, 1, 16]));
        assert!(!holds("lookup.valid && !(cookie>=16)", [0, 0, 1, 16]));
        assert!(holds(
            "trap.valid || lookup.valid && cookie < 2",
            [1, 0, 0, 0]
        ));
        assert!(holds("(reason != none)", [0, 2, 0, 0]));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        let error = |text| Trigger::parse(text, &design()).expect_err(text).to_string();
        assert!(error("valid").contains("board.trap.valid, board.lookup.valid"));
        assert!(error("trap.cause==1").contains("there are board.trap.valid, board.trap.reason"));
        assert!(error("nothing").contains("board.trap, board.lookup"));
        assert!(error("reason==syn").contains("none, tcp-fin, tcp-rst"));
        assert!(error("cookie ==").contains("expected a value, found the end"));
        assert!(error("cookie = 1").contains("at character 8"));
        assert!(error("(cookie").contains("&&, || or )"));
        assert!(error(&"(".repeat(100_000)).contains("64"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
            Trigger::parse(&text, &design()).ok();
        }

        #[test]
        fn nothing_made_of_its_words_makes_the_parser_panic(
            words in proptest::collection::vec(
                proptest::sample::select(vec!["cookie", "trap.valid", "&&", "||", "!", "(", ")", "==", "<", "rst", "0x", "7", "ä"]),
                0..20,
            )
        ) {
            Trigger::parse(&words.concat(), &design()).ok();
        }
    }
}

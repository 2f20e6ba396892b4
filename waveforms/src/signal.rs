//! What there is to see: scopes and signals.

/// A scope, like a module in a hardware description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScopeId(usize);

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignalId(pub(crate) usize);

#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub(crate) scope: usize,
    pub(crate) name: String,
    pub(crate) width_bits: u32,
    pub(crate) initial: u64,
    /// Names of values, of an enumeration.
    pub(crate) labels: Vec<(u64, String)>,
}

impl Signal {
    pub(crate) const fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.width_bits)
    }

    /// Name and width of the signal beside an enumeration that spells its values out.
    pub(crate) fn text(&self) -> Option<(String, u32)> {
        let longest = self.labels.iter().map(|(_, label)| label.len()).max()?;
        Some((format!("{}_name", self.name), 8 * longest.max(1) as u32))
    }
}

/// The names of an enumeration's values, as the binary digits of their ASCII characters.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// By value.
    names: Vec<(u64, Vec<u8>)>,
    unknown: Vec<u8>,
}

impl Names {
    fn new(labels: &[(u64, String)], width_bits: u32) -> Self {
        let digits = |text: &str| {
            let bits = text.bytes().map(|byte| format!("{byte:08b}"));
            let bits: String = bits.collect();
            format!("{bits:0>width$}", width = width_bits as usize).into_bytes()
        };
        let mut names: Vec<(u64, Vec<u8>)> = (labels.iter())
            .map(|(value, label)| (*value, digits(label)))
            .collect();
        names.sort();
        Self {
            names,
            unknown: digits("?"),
        }
    }

    /// The digits of a value's name, most significant first.
    pub(crate) fn digits(&self, value: u64) -> &[u8] {
        let found = self.names.binary_search_by_key(&value, |(value, _)| *value);
        found.map_or(&self.unknown, |at| &self.names[at].1)
    }
}

/// The hierarchy of scopes and the signals in them.
#[derive(Debug, Clone, Default)]
pub struct Design {
    /// Dotted paths, in order of first mention.
    scopes: Vec<String>,
    signals: Vec<Signal>,
}

impl Design {
    /// An empty design.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope at a dotted path such as `board.parser`; made if it is not there.
    pub fn scope(&mut self, path: &str) -> ScopeId {
        if let Some(index) = self.scopes.iter().position(|known| known == path) {
            return ScopeId(index);
        }
        self.scopes.push(path.to_owned());
        ScopeId(self.scopes.len() - 1)
    }

    /// A new signal of 1 to 64 bits (other widths are brought into that range).
    pub fn signal(&mut self, scope: ScopeId, name: &str, width_bits: u32) -> SignalId {
        self.signals.push(Signal {
            scope: scope.0,
            name: name.to_owned(),
            width_bits: width_bits.clamp(1, 64),
            initial: 0,
            labels: Vec::new(),
        });
        SignalId(self.signals.len() - 1)
    }

    /// Makes a signal an enumeration: its values have names, which triggers understand. A signal beside it, whose name ends in
    /// `_name`, spells them out in ASCII for every viewer. Its first value is the one it has from the start.
    pub fn enumerate<'a>(
        &mut self,
        signal: SignalId,
        labels: impl IntoIterator<Item = (u64, &'a str)>,
    ) {
        let signal = &mut self.signals[signal.0];
        let mask = signal.mask();
        signal.labels = labels
            .into_iter()
            .map(|(value, name)| (value & mask, name.to_owned()))
            .collect();
        signal.initial = signal.labels.first().map_or(0, |(value, _)| *value);
    }

    /// The value a signal has until its first change, instead of 0.
    pub fn begin_with(&mut self, signal: SignalId, value: u64) {
        let signal = &mut self.signals[signal.0];
        signal.initial = value & signal.mask();
    }

    /// Names of a signal's values; none unless it is an enumeration.
    pub fn labels(&self, signal: SignalId) -> &[(u64, String)] {
        &self.signals[signal.0].labels
    }

    /// The signals whose dotted path is `name` or ends in it, as `trap.reason` is the end of `board.trap.reason`.
    pub fn find(&self, name: &str) -> Vec<SignalId> {
        let whole = |path: &str| path == name || path.ends_with(&format!(".{name}"));
        (0..self.signals.len())
            .filter(|index| whole(&self.path(&self.signals[*index])))
            .map(SignalId)
            .collect()
    }

    /// The dotted path and the width in bits of the signal that spells an enumeration's values out.
    pub fn text(&self, signal: SignalId) -> Option<(String, u32)> {
        let signal = &self.signals[signal.0];
        let (name, width_bits) = signal.text()?;
        Some((format!("{}.{name}", self.scopes[signal.scope]), width_bits))
    }

    /// Width of a signal, bits.
    pub fn width(&self, signal: SignalId) -> u32 {
        self.signals[signal.0].width_bits
    }

    /// The dotted path of a signal.
    pub fn name(&self, signal: SignalId) -> String {
        self.path(&self.signals[signal.0])
    }

    /// Dotted path and width of every signal, in order of declaration.
    pub fn signals(&self) -> impl Iterator<Item = (String, u32)> + '_ {
        self.signals
            .iter()
            .map(|signal| (self.path(signal), signal.width_bits))
    }

    /// Dotted paths of the scopes, in order of declaration.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    /// Every signal, in order of declaration.
    pub fn ids(&self) -> impl Iterator<Item = SignalId> {
        (0..self.signals.len()).map(SignalId)
    }

    pub(crate) fn widths(&self) -> Vec<u32> {
        self.signals
            .iter()
            .map(|signal| signal.width_bits)
            .collect()
    }

    /// Of every signal, the names of its values if it has some.
    pub(crate) fn names(&self) -> Vec<Option<Names>> {
        let names = |signal: &Signal| {
            let (_, width_bits) = signal.text()?;
            Some(Names::new(&signal.labels, width_bits))
        };
        self.signals.iter().map(names).collect()
    }

    pub(crate) fn initial(&self) -> Vec<u64> {
        self.signals.iter().map(|signal| signal.initial).collect()
    }

    fn path(&self, signal: &Signal) -> String {
        format!("{}.{}", self.scopes[signal.scope], signal.name)
    }

    /// Walks the hierarchy as a tree: scopes are entered and left, signals declared, each once.
    pub(crate) fn walk<E>(
        &self,
        visit: &mut impl FnMut(Walk<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut order: Vec<usize> = (0..self.signals.len()).collect();
        // A tree needs siblings together: order by the path of scopes, by first mention at each level.
        order.sort_by_key(|index| self.rank(&self.scopes[self.signals[*index].scope]));
        let mut open: Vec<&str> = Vec::new();
        for index in order {
            let signal = &self.signals[index];
            let path: Vec<&str> = self.scopes[signal.scope].split('.').collect();
            let common = open.iter().zip(&path).take_while(|(a, b)| a == b).count();
            while open.len() > common {
                open.pop();
                visit(Walk::Leave)?;
            }
            for name in &path[common..] {
                open.push(name);
                visit(Walk::Enter(name))?;
            }
            visit(Walk::Signal {
                index,
                name: &signal.name,
                width_bits: signal.width_bits,
            })?;
            if let Some((name, width_bits)) = signal.text() {
                visit(Walk::Text {
                    index,
                    name: &name,
                    width_bits,
                })?;
            }
        }
        open.iter().try_for_each(|_| visit(Walk::Leave))
    }

    /// For each prefix of a path, the first scope mentioned that begins with it.
    fn rank(&self, path: &str) -> Vec<usize> {
        let mut prefix = String::new();
        path.split('.')
            .map(|name| {
                prefix.push_str(name);
                prefix.push('.');
                self.scopes
                    .iter()
                    .position(|scope| format!("{scope}.").starts_with(&prefix))
                    .unwrap_or(usize::MAX)
            })
            .collect()
    }
}

/// One step of [`Design::walk`].
pub(crate) enum Walk<'a> {
    Enter(&'a str),
    Leave,
    Signal {
        index: usize,
        name: &'a str,
        width_bits: u32,
    },
    /// Its values spelled out.
    Text {
        index: usize,
        name: &'a str,
        width_bits: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_entered_once_though_signals_come_mixed() {
        let mut design = Design::new();
        for (scope, name) in [
            ("a.x", "1"),
            ("a.y", "2"),
            ("b", "3"),
            ("a.x", "4"),
            ("a", "5"),
        ] {
            let scope = design.scope(scope);
            design.signal(scope, name, 1);
        }
        let mut out = String::new();
        design
            .walk(&mut |step| {
                match step {
                    Walk::Enter(name) => out.push_str(&format!("{name}(")),
                    Walk::Leave => out.push(')'),
                    Walk::Signal { name, .. } | Walk::Text { name, .. } => out.push_str(name),
                }
                Ok::<(), ()>(())
            })
            .expect("visitor never fails");
        assert_eq!(out, "a(5x(14)y(2))b(3)");
    }
}

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
        });
        SignalId(self.signals.len() - 1)
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

    pub(crate) fn widths(&self) -> Vec<u32> {
        self.signals
            .iter()
            .map(|signal| signal.width_bits)
            .collect()
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
                    Walk::Signal { name, .. } => out.push_str(name),
                }
                Ok::<(), ()>(())
            })
            .expect("visitor never fails");
        assert_eq!(out, "a(5x(14)y(2))b(3)");
    }
}

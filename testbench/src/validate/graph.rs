//! Keys with two buckets of one slot as the edges of a graph, whose nodes are buckets: all keys of a part can be placed if it has no
//! more keys than buckets.

/// Sets of buckets that keys join.
pub(super) struct Graph {
    parent: Vec<usize>,
    /// For the root of each set, its keys and its buckets.
    sizes: Vec<(u32, u32)>,
}

impl Graph {
    pub(super) fn new(buckets: u32) -> Self {
        Self {
            parent: (0..buckets as usize).collect(),
            sizes: vec![(0, 1); buckets as usize],
        }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    /// Adds a key; whether its set has no more keys than buckets.
    pub(super) fn join(&mut self, one: u32, other: u32) -> bool {
        let (one, other) = (self.root(one as usize), self.root(other as usize));
        if one != other {
            self.parent[one] = other;
            let (keys, buckets) = self.sizes[one];
            self.sizes[other].0 += keys;
            self.sizes[other].1 += buckets;
        }
        self.sizes[other].0 += 1;
        self.sizes[other].0 <= self.sizes[other].1
    }

    /// Keys beyond the buckets of their set.
    pub(super) fn too_many(&self) -> u32 {
        let roots = (0..self.parent.len()).filter(|at| self.parent[*at] == *at);
        roots
            .map(|root| self.sizes[root].0.saturating_sub(self.sizes[root].1))
            .sum()
    }
}

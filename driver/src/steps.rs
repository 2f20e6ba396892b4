//! A table that grows by steps which stay where they are: nobody waits for millions of records to be copied.

/// Records of a step: of 64 bytes, as many as fill a huge page.
const STEP: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 15;

/// Records by index; those that nobody asked for may not exist.
#[derive(Debug)]
pub(crate) struct Steps<T> {
    steps: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Steps<T> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Copy + Default> Steps<T> {
    /// One more than the largest index that was asked for.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The record of an index, if it exists.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        self.steps.get(index >> STEP_BITS)?.get(index % STEP)
    }

    /// The record of an index, if it exists.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let index = index as usize;
        self.steps
            .get_mut(index >> STEP_BITS)?
            .get_mut(index % STEP)
    }

    /// The record of an index, made if it does not exist.
    #[inline]
    pub(crate) fn ask(&mut self, index: u32) -> &mut T {
        let index = index as usize;
        self.len = self.len.max(index + 1);
        let step = index >> STEP_BITS;
        if step >= self.steps.len() {
            self.steps.resize_with(step + 1, Vec::new);
        }
        let (records, at) = (&mut self.steps[step], index % STEP);
        if at >= records.len() {
            if records.is_empty() {
                records.reserve_exact(STEP);
            }
            records.resize(at + 1, T::default());
        }
        &mut records[at]
    }

    /// Those that exist, with their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let steps = self.steps.iter().enumerate();
        steps.flat_map(|(step, records)| {
            let numbered = records.iter().enumerate();
            numbered.map(move |(at, record)| ((step << STEP_BITS | at) as u32, record))
        })
    }

    /// Those that exist.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.steps.iter_mut().flat_map(|records| records.iter_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_where_they_were_put() {
        let mut steps: Steps<u32> = Steps::default();
        let indices = [0, 1, 32_767, 32_768, 70_001, (1 << 24) - 1];
        for index in indices {
            *steps.ask(index) = index + 1;
        }
        for index in indices {
            assert_eq!(steps.get(index), Some(&(index + 1)));
        }
        assert_eq!(steps.len(), 1 << 24);
        // What lies between does not take memory.
        assert_eq!((steps.get(70_000), steps.get(70_002)), (Some(&0), None));
        assert_eq!(steps.get(200_000), None);
        let found: Vec<u32> = steps
            .iter()
            .filter(|(_, v)| **v > 0)
            .map(|(i, _)| i)
            .collect();
        assert_eq!(found, indices);
        let exist = STEP + 1 + (70_002 - 2 * STEP) + STEP;
        assert_eq!(steps.iter_mut().count(), exist);
    }
}

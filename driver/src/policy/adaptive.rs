//! As `assured`, but pickier while there is little room: when the command ring or the table fills, short connections would take what
//! long ones need.

use super::assured::Assured;
use super::{Candidate, Policy, Pressure, packets};
use crate::explain::Why;

/// From which fullness on, in thousandths of the command ring and of the table, how many packets are asked for.
const STEPS: [(u16, u16, u64); 3] = [(250, 750, 8), (500, 900, 64), (750, 970, 512)];

/// How picky it is: the number of steps climbed.
#[derive(Debug, Default)]
pub(super) struct Adaptive {
    steps: usize,
}

impl Adaptive {
    /// A step is climbed when its mark is reached, and left when things are down to three quarters of it: between the two
    /// nothing changes.
    fn climb(&mut self, pressure: Pressure) {
        let reaches = |step: usize, quarters: u32| {
            STEPS.get(step).is_some_and(|(commands, table, _)| {
                let reached = |is: u16, mark: u16| u32::from(is) * 4 >= u32::from(mark) * quarters;
                reached(pressure.commands_permille, *commands)
                    || reached(pressure.table_permille, *table)
            })
        };
        while reaches(self.steps, 4) {
            self.steps += 1;
        }
        while self.steps > 0 && !reaches(self.steps - 1, 3) {
            self.steps -= 1;
        }
    }
}

impl Policy for Adaptive {
    fn name(&self) -> String {
        "adaptive".to_owned()
    }

    fn wants(&mut self, candidate: &Candidate<'_>) -> Result<(), Why> {
        self.climb(candidate.pressure);
        Assured.wants(candidate)?;
        let step = self.steps.checked_sub(1).and_then(|step| STEPS.get(step));
        match step {
            Some((.., needed)) if packets(candidate.connection) < *needed => Err(Why::Pressure),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_at_once_and_comes_down_late() {
        let mut policy = Adaptive::default();
        let mut at = |commands_permille, table_permille| {
            policy.climb(Pressure {
                commands_permille,
                table_permille,
            });
            policy.steps
        };
        assert_eq!(at(0, 0), 0);
        assert_eq!(at(260, 0), 1);
        assert_eq!(at(0, 980), 3);
        assert_eq!(at(0, 740), 3);
        assert_eq!(at(0, 700), 2);
        assert_eq!(at(190, 0), 1);
        assert_eq!(at(180, 500), 0);
    }
}

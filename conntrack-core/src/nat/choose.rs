//! Which tuple a connection gets.

use super::target::Bounds;
use super::{Chance, Manip, Random, address, end, port};
use crate::Direction;
use crate::tuple::{Tuple, Zone};

/// What there is already.
pub(crate) trait Candidates {
    /// Whether replies to a connection with this tuple would be another connection's.
    fn is_taken(&mut self, tuple: &Tuple) -> bool;
    /// The same, when `left` attempts are left: then a connection that is over may be removed to make it free.
    fn is_taken_still(&mut self, tuple: &Tuple, left: u32) -> bool;
    /// The first source that packets from the source of `tuple` were translated to which `accepts` is satisfied with.
    fn mapped_source(&self, tuple: &Tuple, accepts: &dyn Fn(&Tuple) -> bool) -> Option<Tuple>;
}

/// The tuple that packets of the original direction have after translation. `tuple` is the one they have before; the two
/// are equal if nothing has to be changed.
pub(crate) fn choose(
    tuple: &Tuple,
    manip: Manip,
    bounds: &Bounds,
    zone: Zone,
    has_master: bool,
    there: &mut impl Candidates,
    random: &mut Chance<'_>,
) -> Tuple {
    let keeps = bounds.ports.random == Random::No;
    if manip == Manip::Source && keeps {
        if is_within(tuple, bounds) {
            if !there.is_taken(tuple) {
                return *tuple;
            }
        } else if let Some(mapped) = there.mapped_source(tuple, &|mapped| is_within(mapped, bounds))
            && !there.is_taken(&mapped)
        {
            return mapped;
        }
    }
    let mut chosen = *tuple;
    address::choose(
        &mut chosen,
        manip,
        bounds,
        zone.effective(Direction::Original),
    );
    if keeps {
        match bounds.ports.range {
            Some((first, last)) if bounds.ports.base.is_none() => {
                let inside = port::within(&chosen, manip, (first, last));
                if inside && (first == last || !there.is_taken(&chosen)) {
                    return chosen;
                }
            }
            Some(_) => {}
            None => {
                if !there.is_taken(&chosen) {
                    return chosen;
                }
            }
        }
    }
    port::search(
        &mut chosen,
        manip,
        bounds,
        has_master,
        random,
        |tuple, left| there.is_taken_still(tuple, left),
    );
    chosen
}

/// Whether the source of a tuple lies within the bounds already.
fn is_within(tuple: &Tuple, bounds: &Bounds) -> bool {
    let source = end(tuple, Manip::Source);
    let address_within = bounds
        .addresses
        .is_none_or(|(first, last)| (first..=last).contains(&source));
    let id_within = bounds
        .ports
        .range
        .is_none_or(|range| port::within(tuple, Manip::Source, range));
    address_within && id_within
}

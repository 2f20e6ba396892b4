//! As `conntrack -S` prints.

use crate::stats::Stats;

/// The line of one processor, with its end.
pub fn line(stats: &Stats, processor: u32) -> String {
    let Stats {
        found,
        invalid,
        insert,
        insert_failed,
        drop,
        early_drop,
        error,
        search_restart,
        clash_resolve,
    } = stats;
    format!(
        "cpu={processor:<4}\tfound={found} invalid={invalid} insert={insert} insert_failed={insert_failed} drop={drop} \
         early_drop={early_drop} error={error} search_restart={search_restart} clash_resolve={clash_resolve} chaintoolong=0 \n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_ends_in_a_space() {
        let stats = Stats {
            invalid: 9,
            ..Stats::default()
        };
        let expected = "cpu=0   \tfound=0 invalid=9 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 \
                        search_restart=0 clash_resolve=0 chaintoolong=0 \n";
        assert_eq!(line(&stats, 0), expected);
    }
}

//! The same driver with the habits of real ones, so that people can study theirs. One profile, one file.
//!
//! A profile is what is documented of a driver, or was found out about it, put into the words of [`Habits`], a policy, and what that
//! driver programs into its card. It is the driver's manner, not its code: what is not listed is ctnic's own.

mod act_ct_mlx5;
mod ctnic;
mod dpdk;
mod linux_flowtable;
mod ovs_revalidator;

use crate::habits::Habits;

/// A driver's manner.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name, as on the command line.
    pub name: &'static str,
    /// Whose manner it is, in a phrase.
    pub about: &'static str,
    /// What it offloads, unless another policy is asked for.
    pub policy: &'static str,
    /// How it goes about the rest.
    pub habits: Habits,
    /// What it programs into the card: dotted keys of the card's configuration and their values.
    pub card: &'static [(&'static str, &'static str)],
    /// What it does that ctnic does not, line by line, each with its source.
    pub traits: &'static [&'static str],
}

/// All profiles, ctnic's own first.
pub const PROFILES: [Profile; 5] = [
    ctnic::PROFILE,
    linux_flowtable::PROFILE,
    act_ct_mlx5::PROFILE,
    dpdk::PROFILE,
    ovs_revalidator::PROFILE,
];

impl Profile {
    /// The profile of this name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy;

    #[test]
    fn every_profile_has_a_name_of_its_own_and_a_policy_that_exists() {
        for (place, profile) in PROFILES.iter().enumerate() {
            let found = PROFILES.iter().position(|other| other.name == profile.name);
            assert_eq!(found, Some(place));
            assert!(
                policy::by_name(profile.policy).is_some(),
                "{}",
                profile.name
            );
            assert!(Profile::by_name(profile.name).is_some());
        }
        assert_eq!(PROFILES[0].habits, Habits::default());
    }
}

//! Mistakes that drivers have made, to be switched on: to see what they do to traffic, and that the testbench's monitors find them.
//! None is on unless it is asked for. Each is one branch at the place where the mistake is made.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Flaw {
    /// Hardware counters are never added to connections (OpenWrt issue 17915).
    CountersReadZero = 0,
    /// Connections in hardware expire in software as if nothing came: what extends their lives is computed and then not applied
    /// (Linux 6.18's flow table, OpenWrt pull request 22970).
    ExtensionNotApplied = 1,
    /// A connection that comes back to software gets two minutes (flow tables of Linux 5.10, OpenWrt 22.03).
    ShortTimeoutAfterTeardown = 2,
    /// Of two directions one is put into the card, and windows are checked of what comes to software of the other.
    OneDirectionOnly = 3,
    /// The final counters that come with a deletion are not read.
    FinalReadIgnored = 4,
    /// The last reading is not remembered: counters are added again and again.
    LastReadingForgotten = 5,
    /// Counters of one direction are added to the other.
    DirectionsSwapped = 6,
    /// Windows are not learnt anew when a connection comes back to software.
    WindowsKept = 7,
    /// Reports about an entry that is gone are taken for its successor's.
    GenerationIgnored = 8,
    /// Commands posted again look like new ones.
    RetryUnmarked = 9,
    /// A completion that never comes is waited for for ever.
    NeverRetried = 10,
    /// After a reset of the card the driver's old view is believed.
    TableNotRead = 11,
    /// Nobody notices that a report went missing.
    GapsIgnored = 12,
    /// Damaged completions are taken for good.
    ChecksumIgnored = 13,
    /// Doorbells are never rung again.
    DoorbellOnce = 14,
    /// Windows are checked although packets passed before the insertion's completion came.
    EarlyHitsIgnored = 15,
    /// A refusal for want of room is taken for a full table: nothing at all is put in for a while.
    FullForAll = 16,
    /// Connections that are deleted stay in hardware.
    DeletionNotFollowed = 17,
    /// Fragments are dropped: they have no ports by which their connection could be found.
    FragmentsDropped = 18,
    /// Packets too long for the next link are dropped, and nobody tells their sender.
    TooLongUnanswered = 19,
    /// Entries keep the mark and labels that their connections had when they were inserted (`ct_mark.blocked` of OVN set later).
    MarkingNotFollowed = 20,
    /// Times of the card are taken as they are, whoever has set its clock.
    ClockStepsIgnored = 21,
}

impl Flaw {
    /// All of them, in order of their codes.
    pub const ALL: [Self; 22] = [
        Self::CountersReadZero,
        Self::ExtensionNotApplied,
        Self::ShortTimeoutAfterTeardown,
        Self::OneDirectionOnly,
        Self::FinalReadIgnored,
        Self::LastReadingForgotten,
        Self::DirectionsSwapped,
        Self::WindowsKept,
        Self::GenerationIgnored,
        Self::RetryUnmarked,
        Self::NeverRetried,
        Self::TableNotRead,
        Self::GapsIgnored,
        Self::ChecksumIgnored,
        Self::DoorbellOnce,
        Self::EarlyHitsIgnored,
        Self::FullForAll,
        Self::DeletionNotFollowed,
        Self::FragmentsDropped,
        Self::TooLongUnanswered,
        Self::MarkingNotFollowed,
        Self::ClockStepsIgnored,
    ];

    /// Its name in scenarios.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CountersReadZero => "counters-read-zero",
            Self::ExtensionNotApplied => "extension-not-applied",
            Self::ShortTimeoutAfterTeardown => "short-timeout-after-teardown",
            Self::OneDirectionOnly => "one-direction-only",
            Self::FinalReadIgnored => "final-read-ignored",
            Self::LastReadingForgotten => "last-reading-forgotten",
            Self::DirectionsSwapped => "directions-swapped",
            Self::WindowsKept => "windows-kept",
            Self::GenerationIgnored => "generation-ignored",
            Self::RetryUnmarked => "retry-unmarked",
            Self::NeverRetried => "never-retried",
            Self::TableNotRead => "table-not-read",
            Self::GapsIgnored => "gaps-ignored",
            Self::ChecksumIgnored => "checksum-ignored",
            Self::DoorbellOnce => "doorbell-once",
            Self::EarlyHitsIgnored => "early-hits-ignored",
            Self::FullForAll => "full-for-all",
            Self::DeletionNotFollowed => "deletion-not-followed",
            Self::FragmentsDropped => "fragments-dropped",
            Self::TooLongUnanswered => "too-long-unanswered",
            Self::MarkingNotFollowed => "marking-not-followed",
            Self::ClockStepsIgnored => "clock-steps-ignored",
        }
    }

    /// The mistake of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.name() == name)
    }
}

/// The mistakes that are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flaws(u32);

impl Flaws {
    /// With one more.
    #[must_use]
    pub const fn with(self, flaw: Flaw) -> Self {
        Self(self.0 | 1 << flaw as u8)
    }

    /// Whether this one is on.
    #[inline]
    pub const fn has(self, flaw: Flaw) -> bool {
        self.0 >> flaw as u8 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_unique() {
        for (code, flaw) in Flaw::ALL.into_iter().enumerate() {
            assert_eq!(flaw as usize, code);
            assert_eq!(Flaw::by_name(flaw.name()), Some(flaw));
            assert!(Flaws::default().with(flaw).has(flaw) && !Flaws::default().has(flaw));
        }
    }
}

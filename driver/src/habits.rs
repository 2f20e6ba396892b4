//! What drivers do in more than one way: how counters come, who finds idle connections, what a FIN does, what half an offload is
//! worth. The defaults are ctnic's own; [`crate::profile`] has those of others.

/// How counters come to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// The card streams records of entries that were hit, each interval: of so many milliseconds, or as the card came.
    Push(Option<u32>),
    /// The driver reads the whole table every so many milliseconds.
    Poll(u32),
    /// The driver asks for the counters of one connection when it needs them. They come at its removal in any case.
    OnDemand,
}

impl Default for Counting {
    fn default() -> Self {
        Self::Push(None)
    }
}

impl Counting {
    /// Ways to write one, for people.
    pub const FORMS: &str = "push, push:MS, poll:MS, on-demand";

    /// What a word of [`Counting::FORMS`] says; intervals are at least a millisecond.
    pub fn parse(text: &str) -> Option<Self> {
        let interval = |ms: &str| ms.parse().ok().filter(|ms| (1..=600_000).contains(ms));
        match text.split_once(':') {
            Some(("push", ms)) => Some(Self::Push(Some(interval(ms)?))),
            Some(("poll", ms)) => Some(Self::Poll(interval(ms)?)),
            Some(_) => None,
            None if text == "push" => Some(Self::Push(None)),
            None if text == "on-demand" => Some(Self::OnDemand),
            None => None,
        }
    }
}

/// A driver that finds idle connections by itself, as a garbage collector walks a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectorConfig {
    /// Time between two looks at a connection, milliseconds.
    pub every_ms: u32,
    /// How long a connection stays in hardware of which no packet is heard, milliseconds.
    pub timeout_ms: u32,
    /// With [`Counting::OnDemand`]: its counters are asked for when less than this share of the timeout is left, thousandths.
    pub ask_below_permille: u16,
    /// How many connections may be in hardware.
    pub limit: Option<FlowLimit>,
}

/// A number of connections that goes up while the table is read fast and down when it is read slowly. Above it, idle time shrinks
/// to a tenth of a second; above twice as many, everything comes out (Open vSwitch's revalidators).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowLimit {
    /// At first.
    pub first: u32,
    /// At least.
    pub least: u32,
    /// At most.
    pub most: u32,
}

impl FlowLimit {
    /// The limit after a reading of the table that took so long, given the limit before.
    pub(crate) fn after(&self, limit: u32, took_ms: u32) -> u32 {
        let next = match took_ms {
            0..1_000 => limit.saturating_add(1_000),
            1_000..=1_300 => limit,
            1_301..=2_000 => limit / 4 * 3,
            _ => limit / (took_ms / 1_000),
        };
        next.clamp(self.least, self.most)
    }
}

/// What becomes of a connection in hardware when its FIN or RST has come to software.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtClose {
    /// Software takes over and the entry comes out, at once.
    #[default]
    Now,
    /// Software takes over; the entry comes out when the collector next comes by.
    EntryLater,
    /// The connection stays in hardware until the collector comes by, and is closed then.
    Later,
}

/// How many counters the card has, and how long one that is given back rests: a reading of all counters may still be under way that
/// would mistake its new owner's counts for the old one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterPoolConfig {
    /// Counters; as many as entries if nothing is said.
    pub counters: Option<u32>,
    /// Time of one reading of all, milliseconds: a counter rests until one that began after its return is over.
    pub cycle_ms: u32,
}

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Habits {
    /// How counters come.
    pub counting: Counting,
    /// Who finds idle connections: the card's aging engine, or the driver.
    pub collector: Option<CollectorConfig>,
    /// A connection was heard of when its counters were read, not when the card says that a packet hit it.
    pub heard_when_read: bool,
    /// What a FIN or RST does.
    pub at_close: AtClose,
    /// One direction in hardware is success.
    pub half_is_enough: bool,
    /// While a request about a connection is on its way, no other is made: what was to be asked is left to the collector.
    pub one_request: bool,
    /// Windows of a connection are never checked again once it was in hardware.
    pub liberal: bool,
    /// UDP goes in with its original direction alone until it is ASSURED.
    pub udp_one_way: bool,
    /// An entry begins to forward when no packet of its connection is on its way through the host, so that none is overtaken: when
    /// those that went there were sent on, or none has come for so many microseconds. 0: at once.
    pub barrier_us: u32,
    /// Counters are things of their own that entries take and give back.
    pub counter_pool: Option<CounterPoolConfig>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_is_read_as_it_is_written() {
        assert_eq!(Counting::parse("push"), Some(Counting::Push(None)));
        assert_eq!(Counting::parse("push:40"), Some(Counting::Push(Some(40))));
        assert_eq!(Counting::parse("poll:500"), Some(Counting::Poll(500)));
        assert_eq!(Counting::parse("on-demand"), Some(Counting::OnDemand));
        for wrong in [
            "",
            "pull",
            "poll",
            "poll:0",
            "poll:fast",
            "push:700000",
            "on-demand:3",
        ] {
            assert_eq!(Counting::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_limit_follows_the_time_of_a_reading() {
        let limit = FlowLimit {
            first: 10_000,
            least: 1_000,
            most: 200_000,
        };
        let after = |took_ms| limit.after(10_000, took_ms);
        assert_eq!(
            [10, 1_200, 1_500, 5_000].map(after),
            [11_000, 10_000, 7_500, 2_000]
        );
        assert_eq!(limit.after(1_200, 60_000), 1_000);
        assert_eq!(limit.after(200_000, 1), 200_000);
    }
}

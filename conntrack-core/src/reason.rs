//! Why packets are refused.

macro_rules! reasons {
    ($($name:ident $text:literal)*) => {
        /// Why a packet is INVALID or DROPPED.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $text] $name,)* }

        impl Reason {
            /// The reason in a few words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    IpVersion "neither IPv4 nor IPv6"
    IpHeaderTruncated "IP header truncated"
    IpHeaderLength "bad IP header length"
    IpHeaderChecksum "bad IP header checksum"
    IpTotalLength "IP length beyond the packet"
    IpAddress "an address that is not used on a wire"
    ExtensionHeaders "broken IPv6 extension headers"
    NoNextHeader "no next header"
    FragmentInvalid "bad fragment"
    FragmentOverlap "overlapping fragment"
    FragmentMemory "fragment memory exhausted"
    TransportTruncated "transport header truncated"
    TransportLength "bad transport length"
    TransportChecksum "bad transport checksum"
    TcpFlags "invalid TCP flag combination"
    TcpState "invalid in this TCP state"
    TcpNotLoose "pick-up is switched off (tcp_loose=0)"
    TcpFirstPacket "not a packet that can begin a TCP connection"
    TcpSequenceOverUpper "sequence over upper bound"
    TcpAckOverUpper "acknowledgment over upper bound"
    TcpReset "invalid reset"
    IcmpType "untracked ICMP type"
    IcmpNotRequest "ICMP reply without a request"
    IcmpInner "ICMP error about an unparsable packet"
    IcmpUnknown "ICMP error about an unknown connection"
    IcmpMismatch "ICMP error sent to the wrong host"
    SctpChunks "bad SCTP chunks"
    SctpState "invalid in this SCTP state"
    SctpTag "wrong SCTP verification tag"
    DccpType "reserved DCCP packet type"
    DccpState "invalid in this DCCP state"
    GreVersion "unsupported GRE"
    UdpLiteCoverage "bad UDP-Lite coverage"
    NoInverse "no counterpart tuple"
    NatInterface "leaves by another interface than its masqueraded connection"
    NatRedirect "ICMP redirect about a translated connection"
    HelperPartial "a command that is cut off or malformed (its helper)"
    HelperRefused "what it announces cannot be expected (its helper)"
    Clash "its tuple became another connection's meanwhile"
    TableFull "connection table full"
}

impl std::error::Error for Reason {}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

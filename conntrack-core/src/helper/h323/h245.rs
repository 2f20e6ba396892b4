//! Messages of H.245 (05/2006, annex A): what opens channels for media. Additions are those that Linux was seen to know.

use super::data_type::DATA_TYPE;
use super::per::Size::{Any, Between, Fixed};
use super::per::Type::{self, Choice, Integer, Octets, Of, Sequence, Text};
use super::per::{
    BOOLEAN, BYTE, COUNTED, END, Field, LATER, NULL, OBJECT, SKIPPED, WORD, may, must,
};

static CHANNEL_NUMBER: Type = Integer(1, 65_535);
static SESSION: Type = Integer(1, 255);
static PAYLOAD_TYPE: Type = Integer(96, 127);

/// `MultimediaSystemControlMessage`. Messages that no helper asks for are not listed.
pub static CONTROL_MESSAGE: Type = Choice(
    &[
        ("request", &REQUEST),
        ("response", &RESPONSE),
        ("command", &END),
        ("indication", &END),
    ],
    Some(&[]),
);

static REQUEST: Type = Choice(
    &[
        ("nonStandard", &END),
        ("masterSlaveDetermination", &END),
        ("terminalCapabilitySet", &END),
        ("openLogicalChannel", &OPEN_LOGICAL_CHANNEL),
        ("closeLogicalChannel", &END),
        ("requestChannelClose", &END),
        ("multiplexEntrySend", &END),
        ("requestMultiplexEntry", &END),
        ("requestMode", &END),
        ("roundTripDelayRequest", &END),
        ("maintenanceLoopRequest", &END),
    ],
    Some(&[
        ("communicationModeRequest", &END),
        ("conferenceRequest", &END),
        ("multilinkRequest", &END),
        ("logicalChannelRateRequest", &END),
    ]),
);

static RESPONSE: Type = Choice(
    &[
        ("nonStandard", &END),
        ("masterSlaveDeterminationAck", &END),
        ("masterSlaveDeterminationReject", &END),
        ("terminalCapabilitySetAck", &END),
        ("terminalCapabilitySetReject", &END),
        ("openLogicalChannelAck", &OPEN_LOGICAL_CHANNEL_ACK),
        ("openLogicalChannelReject", &END),
        ("closeLogicalChannelAck", &END),
        ("requestChannelCloseAck", &END),
        ("requestChannelCloseReject", &END),
        ("multiplexEntrySendAck", &END),
        ("multiplexEntrySendReject", &END),
        ("requestMultiplexEntryAck", &END),
        ("requestMultiplexEntryReject", &END),
        ("requestModeAck", &END),
        ("requestModeReject", &END),
        ("roundTripDelayResponse", &END),
        ("maintenanceLoopAck", &END),
        ("maintenanceLoopReject", &END),
    ],
    Some(&[
        ("communicationModeResponse", &END),
        ("conferenceResponse", &END),
        ("multilinkResponse", &END),
        ("logicalChannelRateAcknowledge", &END),
        ("logicalChannelRateReject", &END),
    ]),
);

/// `OpenLogicalChannel`.
pub static OPEN_LOGICAL_CHANNEL: Type = Sequence(
    &[
        must("forwardLogicalChannelNumber", &CHANNEL_NUMBER),
        must(
            "forwardLogicalChannelParameters",
            &Sequence(
                &[
                    may("portNumber", &WORD),
                    must("dataType", &DATA_TYPE),
                    must(
                        "multiplexParameters",
                        &Choice(
                            &[
                                ("h222LogicalChannelParameters", &H222_CHANNEL),
                                ("h223LogicalChannelParameters", &H223_CHANNEL),
                                ("v76LogicalChannelParameters", &V76_CHANNEL),
                            ],
                            Some(&[
                                ("h2250LogicalChannelParameters", &H2250_CHANNEL),
                                ("none", &NULL),
                            ]),
                        ),
                    ),
                ],
                Some(&[
                    may("forwardLogicalChannelDependency", &SKIPPED),
                    may("replacementFor", &SKIPPED),
                ]),
            ),
        ),
        may(
            "reverseLogicalChannelParameters",
            &Sequence(
                &[
                    must("dataType", &DATA_TYPE),
                    may(
                        "multiplexParameters",
                        &Choice(
                            &[
                                ("h223LogicalChannelParameters", &H223_CHANNEL),
                                ("v76LogicalChannelParameters", &V76_CHANNEL),
                            ],
                            Some(&[("h2250LogicalChannelParameters", &H2250_CHANNEL)]),
                        ),
                    ),
                ],
                Some(&[
                    may("reverseLogicalChannelDependency", &SKIPPED),
                    may("replacementFor", &SKIPPED),
                ]),
            ),
        ),
    ],
    Some(&[may("separateStack", &NETWORK_ACCESS), LATER]),
);

static OPEN_LOGICAL_CHANNEL_ACK: Type = Sequence(
    &[
        must("forwardLogicalChannelNumber", &CHANNEL_NUMBER),
        may(
            "reverseLogicalChannelParameters",
            &Sequence(
                &[
                    must("reverseLogicalChannelNumber", &CHANNEL_NUMBER),
                    may("portNumber", &WORD),
                    may(
                        "multiplexParameters",
                        &Choice(
                            &[("h222LogicalChannelParameters", &H222_CHANNEL)],
                            Some(&[("h2250LogicalChannelParameters", &H2250_CHANNEL)]),
                        ),
                    ),
                ],
                Some(&[may("replacementFor", &SKIPPED)]),
            ),
        ),
    ],
    Some(&[
        may("separateStack", &NETWORK_ACCESS),
        may(
            "forwardMultiplexAckParameters",
            &Choice(
                &[("h2250LogicalChannelAckParameters", &H2250_CHANNEL_ACK)],
                Some(&[]),
            ),
        ),
        LATER,
    ]),
);

static NETWORK_ACCESS: Type = Sequence(
    &[
        may(
            "distribution",
            &Choice(&[("unicast", &NULL), ("multicast", &NULL)], Some(&[])),
        ),
        must(
            "networkAddress",
            &Choice(
                &[
                    ("q2931Address", &Q2931_ADDRESS),
                    ("e164Address", &Text(4, Between(1, 128))),
                    ("localAreaAddress", &TRANSPORT_ADDRESS),
                ],
                Some(&[]),
            ),
        ),
        must("associateConference", &BOOLEAN),
        may("externalReference", &Octets(Between(1, 255))),
    ],
    Some(&[may("t120SetupProcedure", &SKIPPED)]),
);

static Q2931_ADDRESS: Type = Sequence(
    &[
        must(
            "address",
            &Choice(
                &[
                    ("internationalNumber", &Text(4, Between(1, 16))),
                    ("nsapAddress", &Octets(Between(1, 20))),
                ],
                Some(&[]),
            ),
        ),
        may("subaddress", &Octets(Between(1, 20))),
    ],
    Some(&[]),
);

static IPV4: &[Field] = &[
    must("network", &Octets(Fixed(4))),
    must("tsapIdentifier", &WORD),
];
static IPV6: &[Field] = &[
    must("network", &Octets(Fixed(16))),
    must("tsapIdentifier", &WORD),
];

/// `TransportAddress`.
pub static TRANSPORT_ADDRESS: Type = Choice(
    &[
        (
            "unicastAddress",
            &Choice(
                &[
                    ("iPAddress", &Sequence(IPV4, Some(&[]))),
                    (
                        "iPXAddress",
                        &Sequence(
                            &[
                                must("node", &Octets(Fixed(6))),
                                must("netnum", &Octets(Fixed(4))),
                                must("tsapIdentifier", &Octets(Fixed(2))),
                            ],
                            Some(&[]),
                        ),
                    ),
                    ("iP6Address", &Sequence(IPV6, Some(&[]))),
                    ("netBios", &Octets(Fixed(16))),
                    ("iPSourceRouteAddress", &SOURCE_ROUTE),
                ],
                Some(&[]),
            ),
        ),
        (
            "multicastAddress",
            &Choice(
                &[
                    ("iPAddress", &Sequence(IPV4, Some(&[]))),
                    ("iP6Address", &Sequence(IPV6, Some(&[]))),
                ],
                Some(&[]),
            ),
        ),
    ],
    Some(&[]),
);

static SOURCE_ROUTE: Type = Sequence(
    &[
        must(
            "routing",
            &Choice(&[("strict", &NULL), ("loose", &NULL)], None),
        ),
        must("network", &Octets(Fixed(4))),
        must("tsapIdentifier", &WORD),
        must("route", &Of(Any, &Octets(Fixed(4)))),
    ],
    Some(&[]),
);

pub(super) static NON_STANDARD: Type = Sequence(
    &[
        must(
            "nonStandardIdentifier",
            &Choice(
                &[
                    ("object", &OBJECT),
                    (
                        "h221NonStandard",
                        &Sequence(
                            &[
                                must("t35CountryCode", &BYTE),
                                must("t35Extension", &BYTE),
                                must("manufacturerCode", &WORD),
                            ],
                            None,
                        ),
                    ),
                ],
                None,
            ),
        ),
        must("data", &COUNTED),
    ],
    None,
);

static H2250_CHANNEL: Type = Sequence(
    &[
        may("nonStandard", &Of(Any, &NON_STANDARD)),
        must("sessionID", &BYTE),
        may("associatedSessionID", &SESSION),
        may("mediaChannel", &TRANSPORT_ADDRESS),
        may("mediaGuaranteedDelivery", &BOOLEAN),
        may("mediaControlChannel", &TRANSPORT_ADDRESS),
        may("mediaControlGuaranteedDelivery", &BOOLEAN).end(),
        may("silenceSuppression", &BOOLEAN),
        may("destination", &TERMINAL_LABEL),
        may("dynamicRTPPayloadType", &PAYLOAD_TYPE),
        may(
            "mediaPacketization",
            &Choice(&[("h261aVideoPacketization", &NULL)], Some(&[])),
        ),
    ],
    Some(&[
        may("transportCapability", &SKIPPED),
        may("redundancyEncoding", &SKIPPED),
        may("source", &SKIPPED),
    ]),
);

static TERMINAL_LABEL: Type = Sequence(
    &[
        must("mcuNumber", &Integer(0, 192)),
        must("terminalNumber", &Integer(0, 192)),
    ],
    Some(&[]),
);

static H2250_CHANNEL_ACK: Type = Sequence(
    &[
        may("nonStandard", &Of(Any, &NON_STANDARD)),
        may("sessionID", &SESSION),
        may("mediaChannel", &TRANSPORT_ADDRESS),
        may("mediaControlChannel", &TRANSPORT_ADDRESS),
        may("dynamicRTPPayloadType", &PAYLOAD_TYPE),
    ],
    Some(&[
        may("flowControlToZero", &SKIPPED),
        may("portNumber", &SKIPPED),
    ]),
);

static H222_CHANNEL: Type = Sequence(
    &[
        must("resourceID", &WORD),
        must("subChannelID", &Integer(0, 8_191)),
        may("pcr-pid", &Integer(0, 8_191)),
        may("programDescriptors", &COUNTED),
        may("streamDescriptors", &COUNTED),
    ],
    Some(&[]),
);

static H223_CHANNEL: Type = Sequence(
    &[
        must(
            "adaptationLayerType",
            &Choice(
                &[
                    ("nonStandard", &NON_STANDARD),
                    ("al1Framed", &NULL),
                    ("al1NotFramed", &NULL),
                    ("al2WithoutSequenceNumbers", &NULL),
                    ("al2WithSequenceNumbers", &NULL),
                    (
                        "al3",
                        &Sequence(
                            &[
                                must("controlFieldOctets", &Integer(0, 2)),
                                must("sendBufferSize", &Integer(0, 16_777_215)),
                            ],
                            None,
                        ),
                    ),
                ],
                Some(&[]),
            ),
        ),
        must("segmentableFlag", &BOOLEAN),
    ],
    Some(&[]),
);

static V76_CHANNEL: Type = Sequence(
    &[
        must(
            "hdlcParameters",
            &Sequence(
                &[
                    must(
                        "crcLength",
                        &Choice(
                            &[("crc8bit", &NULL), ("crc16bit", &NULL), ("crc32bit", &NULL)],
                            Some(&[]),
                        ),
                    ),
                    must("n401", &Integer(1, 4_095)),
                    must("loopbackTestProcedure", &BOOLEAN),
                ],
                Some(&[]),
            ),
        ),
        must(
            "suspendResume",
            &Choice(
                &[
                    ("noSuspendResume", &NULL),
                    ("suspendResumewAddress", &NULL),
                    ("suspendResumewoAddress", &NULL),
                ],
                Some(&[]),
            ),
        ),
        must("uIH", &BOOLEAN),
        must(
            "mode",
            &Choice(&[("eRM", &V76_RECOVERY), ("uNERM", &NULL)], Some(&[])),
        ),
        must(
            "v75Parameters",
            &Sequence(&[must("audioHeaderPresent", &BOOLEAN)], Some(&[])),
        ),
    ],
    Some(&[]),
);

static V76_RECOVERY: Type = Sequence(
    &[
        must("windowSize", &Integer(1, 127)),
        must(
            "recovery",
            &Choice(
                &[("rej", &NULL), ("sREJ", &NULL), ("mSREJ", &NULL)],
                Some(&[]),
            ),
        ),
    ],
    Some(&[]),
);

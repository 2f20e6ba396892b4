//! Messages of H.245 (05/2006, annex A): what opens channels for media. Additions are
//! those that Linux was seen to know, or none where nobody asks for any of them.

use super::per::Size::{Any, Between, Fixed};
use super::per::Type::{
    self, Boolean, Choice, Counted, End, Integer, Null, Object, Octets, Of, Sequence, Text,
};
use super::per::{Field, LATER, may, must};

static NULL: Type = Null;
static END: Type = End;
/// An addition that nobody asks for: only its length counts.
static SKIPPED: Type = Null;
static BOOLEAN: Type = Boolean;
static COUNTED: Type = Counted;
static OBJECT: Type = Object;
static BYTE: Type = Integer(0, 255);
static WORD: Type = Integer(0, 65_535);
static ANY_RATE: Type = Integer(0, u32::MAX);
static CHANNEL_NUMBER: Type = Integer(1, 65_535);
static FRAMES: Type = Integer(1, 256);
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

static NON_STANDARD: Type = Sequence(
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

static DATA_TYPE: Type = Choice(
    &[
        ("nonStandard", &NON_STANDARD),
        ("nullData", &NULL),
        ("videoData", &VIDEO),
        ("audioData", &AUDIO),
        ("data", &DATA_APPLICATION),
        (
            "encryptionData",
            &Choice(
                &[("nonStandard", &NON_STANDARD), ("h233Encryption", &NULL)],
                Some(&[]),
            ),
        ),
    ],
    Some(&[]),
);

static VIDEO: Type = Choice(
    &[
        ("nonStandard", &NON_STANDARD),
        ("h261VideoCapability", &H261),
        ("h262VideoCapability", &H262),
        ("h263VideoCapability", &H263),
        ("is11172VideoCapability", &IS11172_VIDEO),
    ],
    Some(&[]),
);

static H261: Type = Sequence(
    &[
        may("qcifMPI", &Integer(1, 4)),
        may("cifMPI", &Integer(1, 4)),
        must("temporalSpatialTradeOffCapability", &BOOLEAN),
        must("maxBitRate", &Integer(1, 19_200)),
        must("stillImageTransmission", &BOOLEAN),
    ],
    Some(&[may("videoBadMBsCap", &SKIPPED)]),
);

static H262: Type = Sequence(
    &[
        must("profileAndLevel-SPatML", &BOOLEAN),
        must("profileAndLevel-MPatLL", &BOOLEAN),
        must("profileAndLevel-MPatML", &BOOLEAN),
        must("profileAndLevel-MPatH-14", &BOOLEAN),
        must("profileAndLevel-MPatHL", &BOOLEAN),
        must("profileAndLevel-SNRatLL", &BOOLEAN),
        must("profileAndLevel-SNRatML", &BOOLEAN),
        must("profileAndLevel-SpatialatH-14", &BOOLEAN),
        must("profileAndLevel-HPatML", &BOOLEAN),
        must("profileAndLevel-HPatH-14", &BOOLEAN),
        must("profileAndLevel-HPatHL", &BOOLEAN),
        may("videoBitRate", &Integer(0, 1_073_741_823)),
        may("vbvBufferSize", &Integer(0, 262_143)),
        may("samplesPerLine", &Integer(0, 16_383)),
        may("linesPerFrame", &Integer(0, 16_383)),
        may("framesPerSecond", &Integer(0, 15)),
        may("luminanceSampleRate", &ANY_RATE),
    ],
    Some(&[may("videoBadMBsCap", &SKIPPED)]),
);

static H263: Type = Sequence(
    &[
        may("sqcifMPI", &Integer(1, 32)),
        may("qcifMPI", &Integer(1, 32)),
        may("cifMPI", &Integer(1, 32)),
        may("cif4MPI", &Integer(1, 32)),
        may("cif16MPI", &Integer(1, 32)),
        must("maxBitRate", &Integer(1, 192_400)),
        must("unrestrictedVector", &BOOLEAN),
        must("arithmeticCoding", &BOOLEAN),
        must("advancedPrediction", &BOOLEAN),
        must("pbFrames", &BOOLEAN),
        must("temporalSpatialTradeOffCapability", &BOOLEAN),
        may("hrd-B", &Integer(0, 524_287)),
        may("bppMaxKb", &WORD),
    ],
    Some(&[
        may("slowSqcifMPI", &SKIPPED),
        may("slowQcifMPI", &SKIPPED),
        may("slowCifMPI", &SKIPPED),
        may("slowCif4MPI", &SKIPPED),
        may("slowCif16MPI", &SKIPPED),
        may("errorCompensation", &SKIPPED),
        may("enhancementLayerInfo", &SKIPPED),
        may("h263Options", &SKIPPED),
    ]),
);

static IS11172_VIDEO: Type = Sequence(
    &[
        must("constrainedBitstream", &BOOLEAN),
        may("videoBitRate", &Integer(0, 1_073_741_823)),
        may("vbvBufferSize", &Integer(0, 262_143)),
        may("samplesPerLine", &Integer(0, 16_383)),
        may("linesPerFrame", &Integer(0, 16_383)),
        may("pictureRate", &Integer(0, 15)),
        may("luminanceSampleRate", &ANY_RATE),
    ],
    Some(&[may("videoBadMBsCap", &SKIPPED)]),
);

static AUDIO: Type = Choice(
    &[
        ("nonStandard", &NON_STANDARD),
        ("g711Alaw64k", &FRAMES),
        ("g711Alaw56k", &FRAMES),
        ("g711Ulaw64k", &FRAMES),
        ("g711Ulaw56k", &FRAMES),
        ("g722-64k", &FRAMES),
        ("g722-56k", &FRAMES),
        ("g722-48k", &FRAMES),
        (
            "g7231",
            &Sequence(
                &[
                    must("maxAl-sduAudioFrames", &FRAMES),
                    must("silenceSuppression", &BOOLEAN),
                ],
                None,
            ),
        ),
        ("g728", &FRAMES),
        ("g729", &FRAMES),
        ("g729AnnexA", &FRAMES),
        ("is11172AudioCapability", &IS11172_AUDIO),
        ("is13818AudioCapability", &IS13818_AUDIO),
    ],
    Some(&[]),
);

static IS11172_AUDIO: Type = Sequence(
    &[
        must("audioLayer1", &BOOLEAN),
        must("audioLayer2", &BOOLEAN),
        must("audioLayer3", &BOOLEAN),
        must("audioSampling32k", &BOOLEAN),
        must("audioSampling44k1", &BOOLEAN),
        must("audioSampling48k", &BOOLEAN),
        must("singleChannel", &BOOLEAN),
        must("twoChannels", &BOOLEAN),
        must("bitRate", &Integer(1, 448)),
    ],
    Some(&[]),
);

static IS13818_AUDIO: Type = Sequence(
    &[
        must("audioLayer1", &BOOLEAN),
        must("audioLayer2", &BOOLEAN),
        must("audioLayer3", &BOOLEAN),
        must("audioSampling16k", &BOOLEAN),
        must("audioSampling22k05", &BOOLEAN),
        must("audioSampling24k", &BOOLEAN),
        must("audioSampling32k", &BOOLEAN),
        must("audioSampling44k1", &BOOLEAN),
        must("audioSampling48k", &BOOLEAN),
        must("singleChannel", &BOOLEAN),
        must("twoChannels", &BOOLEAN),
        must("threeChannels2-1", &BOOLEAN),
        must("threeChannels3-0", &BOOLEAN),
        must("fourChannels2-0-2-0", &BOOLEAN),
        must("fourChannels2-2", &BOOLEAN),
        must("fourChannels3-1", &BOOLEAN),
        must("fiveChannels3-0-2-0", &BOOLEAN),
        must("fiveChannels3-2", &BOOLEAN),
        must("lowFrequencyEnhancement", &BOOLEAN),
        must("multilingual", &BOOLEAN),
        must("bitRate", &Integer(1, 1_130)),
    ],
    Some(&[]),
);

static DATA_APPLICATION: Type = Sequence(
    &[
        must(
            "application",
            &Choice(
                &[
                    ("nonStandard", &NON_STANDARD),
                    ("t120", &DATA_PROTOCOL),
                    ("dsm-cc", &DATA_PROTOCOL),
                    ("userData", &DATA_PROTOCOL),
                    (
                        "t84",
                        &Sequence(
                            &[
                                must("t84Protocol", &DATA_PROTOCOL),
                                must("t84Profile", &T84_PROFILE),
                            ],
                            None,
                        ),
                    ),
                    ("t434", &DATA_PROTOCOL),
                    ("h224", &DATA_PROTOCOL),
                    (
                        "nlpid",
                        &Sequence(
                            &[
                                must("nlpidProtocol", &DATA_PROTOCOL),
                                must("nlpidData", &COUNTED),
                            ],
                            None,
                        ),
                    ),
                    ("dsvdControl", &NULL),
                    ("h222DataPartitioning", &DATA_PROTOCOL),
                ],
                Some(&[]),
            ),
        ),
        must("maxBitRate", &ANY_RATE),
    ],
    Some(&[]),
);

static DATA_PROTOCOL: Type = Choice(
    &[
        ("nonStandard", &NON_STANDARD),
        ("v14buffered", &NULL),
        ("v42lapm", &NULL),
        ("hdlcFrameTunnelling", &NULL),
        ("h310SeparateVCStack", &NULL),
        ("h310SingleVCStack", &NULL),
        ("transparent", &NULL),
    ],
    Some(&[
        ("segmentationAndReassembly", &NULL),
        ("hdlcFrameTunnelingwSAR", &NULL),
        ("v120", &NULL),
        ("separateLANStack", &NULL),
    ]),
);

static T84_PROFILE: Type = Choice(
    &[
        ("t84Unrestricted", &NULL),
        ("t84Restricted", &Sequence(T84_RESTRICTED, Some(&[]))),
    ],
    None,
);

static T84_RESTRICTED: &[Field] = &[
    must("qcif", &BOOLEAN),
    must("cif", &BOOLEAN),
    must("ccir601Seq", &BOOLEAN),
    must("ccir601Prog", &BOOLEAN),
    must("hdtvSeq", &BOOLEAN),
    must("hdtvProg", &BOOLEAN),
    must("g3FacsMH200x100", &BOOLEAN),
    must("g3FacsMH200x200", &BOOLEAN),
    must("g4FacsMMR200x100", &BOOLEAN),
    must("g4FacsMMR200x200", &BOOLEAN),
    must("jbig200x200Seq", &BOOLEAN),
    must("jbig200x200Prog", &BOOLEAN),
    must("jbig300x300Seq", &BOOLEAN),
    must("jbig300x300Prog", &BOOLEAN),
    must("digPhotoLow", &BOOLEAN),
    must("digPhotoMedSeq", &BOOLEAN),
    must("digPhotoMedProg", &BOOLEAN),
    must("digPhotoHighSeq", &BOOLEAN),
    must("digPhotoHighProg", &BOOLEAN),
];

//! Messages of H.225.0 (12/2009, annex H): registration with gatekeepers (RAS), and what Q.931 carries. Additions are
//! those that Linux was seen to know.

use super::per::Size::{Any, Between, Fixed};
use super::per::Type::{self, Choice, Holds, Integer, Octets, Of, Seconds, Sequence, Text};
use super::per::{BOOLEAN, BYTE, COUNTED, END, LATER, NULL, OBJECT, SKIPPED, WORD, may, must};
use super::{h235, h245};

static SEQUENCE_NUMBER: Type = Integer(1, 65_535);
static BANDWIDTH: Type = Integer(0, u32::MAX);
static TIME_TO_LIVE: Type = Seconds;
static GLOBALLY_UNIQUE: Type = Octets(Fixed(16));
static IDENTIFIER: Type = Text(16, Between(1, 128));
static NAME: Type = Octets(Between(1, 256));

static IPV4: Type = Octets(Fixed(4));

/// `TransportAddress`.
pub static TRANSPORT_ADDRESS: Type = Choice(
    &[
        (
            "ipAddress",
            &Sequence(&[must("ip", &IPV4), must("port", &WORD)], None),
        ),
        (
            "ipSourceRoute",
            &Sequence(
                &[
                    must("ip", &IPV4),
                    must("port", &WORD),
                    must("route", &Of(Any, &IPV4)),
                    must(
                        "routing",
                        &Choice(&[("strict", &NULL), ("loose", &NULL)], Some(&[])),
                    ),
                ],
                Some(&[]),
            ),
        ),
        (
            "ipxAddress",
            &Sequence(
                &[
                    must("node", &Octets(Fixed(6))),
                    must("netnum", &IPV4),
                    must("port", &Octets(Fixed(2))),
                ],
                None,
            ),
        ),
        (
            "ip6Address",
            &Sequence(
                &[must("ip", &GLOBALLY_UNIQUE), must("port", &WORD)],
                Some(&[]),
            ),
        ),
        ("netBios", &GLOBALLY_UNIQUE),
        ("nsap", &Octets(Between(1, 20))),
        ("nonStandardAddress", &NON_STANDARD),
    ],
    Some(&[]),
);

static ADDRESSES: Type = Of(Any, &TRANSPORT_ADDRESS);

static H221_NON_STANDARD: Type = Sequence(
    &[
        must("t35CountryCode", &BYTE),
        must("t35Extension", &BYTE),
        must("manufacturerCode", &WORD),
    ],
    Some(&[]),
);

static NON_STANDARD: Type = Sequence(
    &[
        must(
            "nonStandardIdentifier",
            &Choice(
                &[("object", &OBJECT), ("h221NonStandard", &H221_NON_STANDARD)],
                Some(&[]),
            ),
        ),
        must("data", &COUNTED),
    ],
    None,
);

pub(super) static ALIAS: Type = Choice(
    &[
        ("dialledDigits", &Text(4, Between(1, 128))),
        ("h323-ID", &Text(16, Between(1, 256))),
    ],
    Some(&[]),
);
static ALIASES: Type = Of(Any, &ALIAS);

static VENDOR: Type = Sequence(
    &[
        must("vendor", &H221_NON_STANDARD),
        may("productId", &NAME),
        may("versionId", &NAME),
    ],
    Some(&[]),
);

/// What only has data of its own.
static WITH_DATA: Type = Sequence(&[may("nonStandardData", &NON_STANDARD)], Some(&[]));

/// One of a gateway's protocols.
static PREFIXES: Type = Sequence(
    &[may("nonStandardData", &NON_STANDARD)],
    Some(&[
        may("dataRatesSupported", &SKIPPED),
        may("supportedPrefixes", &SKIPPED),
    ]),
);

static SUPPORTED_PROTOCOL: Type = Choice(
    &[
        ("nonStandardData", &NON_STANDARD),
        ("h310", &PREFIXES),
        ("h320", &PREFIXES),
        ("h321", &PREFIXES),
        ("h322", &PREFIXES),
        ("h323", &PREFIXES),
        ("h324", &PREFIXES),
        ("voice", &PREFIXES),
        ("t120-only", &PREFIXES),
    ],
    Some(&[]),
);

static ENDPOINT_TYPE: Type = Sequence(
    &[
        may("nonStandardData", &NON_STANDARD),
        may("vendor", &VENDOR),
        may("gatekeeper", &WITH_DATA),
        may(
            "gateway",
            &Sequence(
                &[
                    may("protocol", &Of(Any, &SUPPORTED_PROTOCOL)),
                    may("nonStandardData", &NON_STANDARD),
                ],
                Some(&[]),
            ),
        ),
        may(
            "mcu",
            &Sequence(
                &[may("nonStandardData", &NON_STANDARD)],
                Some(&[may("protocol", &SKIPPED)]),
            ),
        ),
        may("terminal", &WITH_DATA),
        must("mc", &BOOLEAN),
        must("undefinedNode", &BOOLEAN),
    ],
    Some(&[
        may("set", &SKIPPED),
        may("supportedTunnelledProtocols", &SKIPPED),
    ]),
);

static SERVICES: Type = Sequence(
    &[
        must("q932Full", &BOOLEAN),
        must("q951Full", &BOOLEAN),
        must("q952Full", &BOOLEAN),
        must("q953Full", &BOOLEAN),
        must("q955Full", &BOOLEAN),
        must("q956Full", &BOOLEAN),
        must("q957Full", &BOOLEAN),
        must(
            "q954Info",
            &Sequence(
                &[
                    must("conferenceCalling", &BOOLEAN),
                    must("threePartyService", &BOOLEAN),
                ],
                Some(&[]),
            ),
        ),
    ],
    Some(&[]),
);

static CALL_TYPE: Type = Choice(
    &[
        ("pointToPoint", &NULL),
        ("oneToN", &NULL),
        ("nToOne", &NULL),
        ("nToN", &NULL),
    ],
    Some(&[]),
);

static CALL_MODEL: Type = Choice(&[("direct", &NULL), ("gatekeeperRouted", &NULL)], Some(&[]));

/// Channels that are opened at once, each in a message of H.245.
static FAST_START: Type = Of(Any, &Holds(&h245::OPEN_LOGICAL_CHANNEL));

/// `RasMessage`. Messages that no helper asks for are not listed.
pub static RAS_MESSAGE: Type = Choice(
    &[
        ("gatekeeperRequest", &GATEKEEPER_REQUEST),
        ("gatekeeperConfirm", &GATEKEEPER_CONFIRM),
        ("gatekeeperReject", &END),
        ("registrationRequest", &REGISTRATION_REQUEST),
        ("registrationConfirm", &REGISTRATION_CONFIRM),
        ("registrationReject", &END),
        ("unregistrationRequest", &UNREGISTRATION_REQUEST),
        ("unregistrationConfirm", &END),
        ("unregistrationReject", &END),
        ("admissionRequest", &ADMISSION_REQUEST),
        ("admissionConfirm", &ADMISSION_CONFIRM),
        ("admissionReject", &END),
        ("bandwidthRequest", &END),
        ("bandwidthConfirm", &END),
        ("bandwidthReject", &END),
        ("disengageRequest", &END),
        ("disengageConfirm", &END),
        ("disengageReject", &END),
        ("locationRequest", &LOCATION_REQUEST),
        ("locationConfirm", &LOCATION_CONFIRM),
        ("locationReject", &END),
        ("infoRequest", &END),
        ("infoRequestResponse", &INFO_REQUEST_RESPONSE),
        ("nonStandardMessage", &END),
        ("unknownMessageResponse", &END),
    ],
    Some(&[]),
);

static GATEKEEPER_REQUEST: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("protocolIdentifier", &OBJECT),
        may("nonStandardData", &NON_STANDARD),
        must("rasAddress", &TRANSPORT_ADDRESS),
        must("endpointType", &ENDPOINT_TYPE).end(),
        may("gatekeeperIdentifier", &IDENTIFIER),
        may("callServices", &SERVICES),
        may("endpointAlias", &ALIASES),
    ],
    Some(&[LATER]),
);

static GATEKEEPER_CONFIRM: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("protocolIdentifier", &OBJECT),
        may("nonStandardData", &NON_STANDARD),
        may("gatekeeperIdentifier", &IDENTIFIER),
        must("rasAddress", &TRANSPORT_ADDRESS),
    ],
    Some(&[LATER]),
);

static REGISTRATION_REQUEST: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("protocolIdentifier", &OBJECT),
        may("nonStandardData", &NON_STANDARD),
        must("discoveryComplete", &BOOLEAN),
        must("callSignalAddress", &ADDRESSES),
        must("rasAddress", &ADDRESSES),
        must("terminalType", &ENDPOINT_TYPE),
        may("terminalAlias", &ALIASES),
        may("gatekeeperIdentifier", &IDENTIFIER),
        must("endpointVendor", &VENDOR),
    ],
    Some(&[
        may("alternateEndpoints", &SKIPPED),
        may("timeToLive", &TIME_TO_LIVE),
        LATER,
    ]),
);

static REGISTRATION_CONFIRM: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("protocolIdentifier", &OBJECT),
        may("nonStandardData", &NON_STANDARD),
        must("callSignalAddress", &ADDRESSES),
        may("terminalAlias", &ALIASES),
        may("gatekeeperIdentifier", &IDENTIFIER),
        must("endpointIdentifier", &IDENTIFIER),
    ],
    Some(&[
        may("alternateGatekeeper", &SKIPPED),
        may("timeToLive", &TIME_TO_LIVE),
        LATER,
    ]),
);

static UNREGISTRATION_REQUEST: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("callSignalAddress", &ADDRESSES),
        may("endpointAlias", &ALIASES).end(),
        may("nonStandardData", &NON_STANDARD),
        may("endpointIdentifier", &IDENTIFIER),
    ],
    Some(&[LATER]),
);

static ADMISSION_REQUEST: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("callType", &CALL_TYPE),
        may("callModel", &CALL_MODEL),
        must("endpointIdentifier", &IDENTIFIER),
        may("destinationInfo", &ALIASES),
        may("destCallSignalAddress", &TRANSPORT_ADDRESS),
        may("destExtraCallInfo", &ALIASES),
        must("srcInfo", &ALIASES),
        may("srcCallSignalAddress", &TRANSPORT_ADDRESS),
        must("bandWidth", &BANDWIDTH).end(),
        must("callReferenceValue", &WORD),
        may("nonStandardData", &NON_STANDARD),
        may("callServices", &SERVICES),
        must("conferenceID", &GLOBALLY_UNIQUE),
        must("activeMC", &BOOLEAN),
        must("answerCall", &BOOLEAN),
    ],
    Some(&[LATER]),
);

static ADMISSION_CONFIRM: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("bandWidth", &BANDWIDTH),
        must("callModel", &CALL_MODEL),
        must("destCallSignalAddress", &TRANSPORT_ADDRESS),
        may("irrFrequency", &SEQUENCE_NUMBER).end(),
        may("nonStandardData", &NON_STANDARD),
    ],
    Some(&[LATER]),
);

static LOCATION_REQUEST: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        may("endpointIdentifier", &IDENTIFIER),
        must("destinationInfo", &ALIASES),
        may("nonStandardData", &NON_STANDARD),
        must("replyAddress", &TRANSPORT_ADDRESS),
    ],
    Some(&[LATER]),
);

static LOCATION_CONFIRM: Type = Sequence(
    &[
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("callSignalAddress", &TRANSPORT_ADDRESS),
        must("rasAddress", &TRANSPORT_ADDRESS),
        may("nonStandardData", &NON_STANDARD).end(),
    ],
    Some(&[LATER]),
);

/// Without what it tells of each call.
static INFO_REQUEST_RESPONSE: Type = Sequence(
    &[
        may("nonStandardData", &NON_STANDARD),
        must("requestSeqNum", &SEQUENCE_NUMBER),
        must("endpointType", &ENDPOINT_TYPE),
        must("endpointIdentifier", &IDENTIFIER),
        must("rasAddress", &TRANSPORT_ADDRESS),
        must("callSignalAddress", &ADDRESSES),
        may("endpointAlias", &ALIASES).end(),
        may("perCallInfo", &END),
    ],
    Some(&[LATER]),
);

/// `H323-UserInformation`: what calls are set up with. Messages that no helper asks for are not listed.
pub static USER_INFORMATION: Type = Sequence(
    &[must("h323-uu-pdu", &UU_PDU), may("user-data", &END).end()],
    Some(&[]),
);

static UU_PDU: Type = Sequence(
    &[
        must("h323-message-body", &MESSAGE_BODY),
        may("nonStandardData", &NON_STANDARD),
    ],
    Some(&[
        may("h4501SupplementaryService", &SKIPPED),
        must("h245Tunnelling", &BOOLEAN),
        may("h245Control", &Of(Any, &Holds(&h245::CONTROL_MESSAGE))),
        LATER,
    ]),
);

static MESSAGE_BODY: Type = Choice(
    &[
        ("setup", &SETUP),
        ("callProceeding", &CALL_PROCEEDING),
        ("connect", &CONNECT),
        ("alerting", &ALERTING),
        ("information", &INFORMATION),
        ("releaseComplete", &RELEASE_COMPLETE),
        ("facility", &FACILITY),
    ],
    Some(&[("progress", &PROGRESS), ("empty", &NULL)]),
);

static SETUP: Type = Sequence(
    &[
        must("protocolIdentifier", &OBJECT),
        may("h245Address", &TRANSPORT_ADDRESS),
        may("sourceAddress", &ALIASES),
        must("sourceInfo", &ENDPOINT_TYPE),
        may("destinationAddress", &ALIASES),
        may("destCallSignalAddress", &TRANSPORT_ADDRESS),
        may("destExtraCallInfo", &ALIASES),
        may("destExtraCRV", &Of(Any, &WORD)),
        must("activeMC", &BOOLEAN),
        must("conferenceID", &GLOBALLY_UNIQUE),
        must(
            "conferenceGoal",
            &Choice(
                &[("create", &NULL), ("join", &NULL), ("invite", &NULL)],
                Some(&[]),
            ),
        ),
        may("callServices", &SERVICES),
        must("callType", &CALL_TYPE),
    ],
    Some(&[
        may("sourceCallSignalAddress", &TRANSPORT_ADDRESS),
        may("remoteExtensionAddress", &SKIPPED),
        must("callIdentifier", &SKIPPED),
        may("h245SecurityCapability", &SKIPPED),
        may("tokens", &SKIPPED),
        may("cryptoTokens", &SKIPPED),
        may("fastStart", &FAST_START),
        may("mediaWaitForConnect", &SKIPPED),
        may("canOverlapSend", &SKIPPED),
        LATER,
    ]),
);

static CALL_PROCEEDING: Type = Sequence(
    &[
        must("protocolIdentifier", &OBJECT),
        must("destinationInfo", &ENDPOINT_TYPE),
        may("h245Address", &TRANSPORT_ADDRESS),
    ],
    Some(&[
        must("callIdentifier", &SKIPPED),
        may("h245SecurityMode", &SKIPPED),
        may("tokens", &SKIPPED),
        may("cryptoTokens", &SKIPPED),
        may("fastStart", &FAST_START),
        may("multipleCalls", &SKIPPED),
        may("maintainConnection", &SKIPPED),
        may("fastConnectRefused", &SKIPPED),
        may("featureSet", &SKIPPED),
    ]),
);

static ALERTING: Type = Sequence(
    &[
        must("protocolIdentifier", &OBJECT),
        must("destinationInfo", &ENDPOINT_TYPE),
        may("h245Address", &TRANSPORT_ADDRESS),
    ],
    Some(&[
        must("callIdentifier", &SKIPPED),
        may("h245SecurityMode", &SKIPPED),
        may("tokens", &SKIPPED),
        may("cryptoTokens", &SKIPPED),
        may("fastStart", &FAST_START),
        may("multipleCalls", &SKIPPED),
        may("maintainConnection", &SKIPPED),
        may("alertingAddress", &SKIPPED),
        may("presentationIndicator", &SKIPPED),
        may("screeningIndicator", &SKIPPED),
        may("fastConnectRefused", &SKIPPED),
        may("serviceControl", &SKIPPED),
        may("capacity", &SKIPPED),
        may("featureSet", &SKIPPED),
    ]),
);

static CONNECT: Type = Sequence(
    &[
        must("protocolIdentifier", &OBJECT),
        may("h245Address", &TRANSPORT_ADDRESS),
        must("destinationInfo", &ENDPOINT_TYPE),
        must("conferenceID", &GLOBALLY_UNIQUE),
    ],
    Some(&[
        must("callIdentifier", &SKIPPED),
        may("h245SecurityMode", &SKIPPED),
        may("tokens", &SKIPPED),
        may("cryptoTokens", &SKIPPED),
        may("fastStart", &FAST_START),
        may("multipleCalls", &SKIPPED),
        may("maintainConnection", &SKIPPED),
        may("language", &SKIPPED),
        may("connectedAddress", &SKIPPED),
        may("presentationIndicator", &SKIPPED),
        may("screeningIndicator", &SKIPPED),
        may("fastConnectRefused", &SKIPPED),
        may("serviceControl", &SKIPPED),
        may("capacity", &SKIPPED),
        may("featureSet", &SKIPPED),
    ]),
);

static INFORMATION: Type = Sequence(
    &[must("protocolIdentifier", &OBJECT)],
    Some(&[
        may("callIdentifier", &SKIPPED),
        may("tokens", &SKIPPED),
        may("cryptoTokens", &SKIPPED),
        may("fastStart", &SKIPPED),
        may("fastConnectRefused", &SKIPPED),
        may("circuitInfo", &SKIPPED),
    ]),
);

static RELEASE_COMPLETE: Type = Sequence(
    &[
        must("protocolIdentifier", &OBJECT),
        may("reason", &RELEASE_REASON),
    ],
    Some(&[
        may("callIdentifier", &SKIPPED),
        may("tokens", &SKIPPED),
        may("cryptoTokens", &SKIPPED),
        may("busyAddress", &SKIPPED),
        may("presentationIndicator", &SKIPPED),
        may("screeningIndicator", &SKIPPED),
        may("capacity", &SKIPPED),
        may("serviceControl", &SKIPPED),
        may("featureSet", &SKIPPED),
    ]),
);

static RELEASE_REASON: Type = Choice(
    &[
        ("noBandwidth", &NULL),
        ("gatekeeperResources", &NULL),
        ("unreachableDestination", &NULL),
        ("destinationRejection", &NULL),
        ("invalidRevision", &NULL),
        ("noPermission", &NULL),
        ("unreachableGatekeeper", &NULL),
        ("gatewayResources", &NULL),
        ("badFormatAddress", &NULL),
        ("adaptiveBusy", &NULL),
        ("inConf", &NULL),
        ("undefinedReason", &NULL),
    ],
    Some(&[]),
);

static FACILITY: Type = Sequence(
    &[
        must("protocolIdentifier", &OBJECT),
        may("alternativeAddress", &TRANSPORT_ADDRESS),
        may("alternativeAliasAddress", &ALIASES),
        may("conferenceID", &GLOBALLY_UNIQUE),
        must(
            "reason",
            &Choice(
                &[
                    ("routeCallToGatekeeper", &NULL),
                    ("callForwarded", &NULL),
                    ("routeCallToMC", &NULL),
                    ("undefinedReason", &NULL),
                ],
                Some(&[]),
            ),
        ),
    ],
    Some(&[
        must("callIdentifier", &SKIPPED),
        may("destExtraCallInfo", &SKIPPED),
        may("remoteExtensionAddress", &SKIPPED),
        may("tokens", &SKIPPED),
        may("cryptoTokens", &SKIPPED),
        may("conferences", &SKIPPED),
        may("h245Address", &TRANSPORT_ADDRESS),
        may("fastStart", &FAST_START),
        may("multipleCalls", &SKIPPED),
        may("maintainConnection", &SKIPPED),
        may("fastConnectRefused", &SKIPPED),
        may("serviceControl", &SKIPPED),
        may("circuitInfo", &SKIPPED),
        may("featureSet", &SKIPPED),
        may("destinationInfo", &SKIPPED),
        may("h245SecurityMode", &SKIPPED),
    ]),
);

static PROGRESS: Type = Sequence(
    &[
        must("protocolIdentifier", &OBJECT),
        must("destinationInfo", &ENDPOINT_TYPE),
        may("h245Address", &TRANSPORT_ADDRESS),
        must(
            "callIdentifier",
            &Sequence(&[must("guid", &GLOBALLY_UNIQUE)], Some(&[])),
        ),
        may("h245SecurityMode", &SECURITY_MODE),
        may("tokens", &h235::TOKENS),
        may("cryptoTokens", &h235::CRYPTO_TOKENS),
        may("fastStart", &FAST_START),
    ],
    Some(&[
        may("multipleCalls", &SKIPPED),
        may("maintainConnection", &SKIPPED),
        may("fastConnectRefused", &SKIPPED),
    ]),
);

static SECURITY_MODE: Type = Choice(
    &[
        ("nonStandard", &NON_STANDARD),
        ("noSecurity", &NULL),
        ("tls", &SECURITY),
        ("ipsec", &SECURITY),
    ],
    Some(&[]),
);

static SECURITY: Type = Sequence(
    &[
        may("nonStandard", &NON_STANDARD),
        must("encryption", &SECURITY_SERVICE),
        must("authenticaton", &SECURITY_SERVICE),
        must("integrity", &SECURITY_SERVICE),
    ],
    Some(&[]),
);

static SECURITY_SERVICE: Type = Choice(
    &[
        ("nonStandard", &NON_STANDARD),
        ("none", &NULL),
        ("default", &NULL),
    ],
    Some(&[]),
);

//! `DataType` of H.245 (05/2006, annex A): what a channel carries.

use super::h245::NON_STANDARD;
use super::per::Type::{self, Choice, Integer, Sequence};
use super::per::{BOOLEAN, COUNTED, Field, NULL, SKIPPED, WORD, may, must};

static FRAMES: Type = Integer(1, 256);
static ANY_RATE: Type = Integer(0, u32::MAX);

/// `DataType`.
pub(super) static DATA_TYPE: Type = Choice(
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

//! Tokens of H.235.0 (09/2005, annex A), as messages of H.225.0 carry them.

use super::per::Size::{Any, Between, Fixed};
use super::per::Type::{self, Bits, Choice, Integer, Octets, Of, Open, Sequence, Text};
use super::per::{COUNTED, OBJECT, SKIPPED, may, must};

static TIME_STAMP: Type = Integer(1, u32::MAX);
static IDENTIFIER: Type = Text(16, Between(1, 128));
static KEY: Type = Bits(Between(0, 2_048));
static ANY_BITS: Type = Bits(Any);

/// `SEQUENCE OF ClearToken`.
pub static TOKENS: Type = Of(Any, &CLEAR_TOKEN);

/// `SEQUENCE OF CryptoH323Token`.
pub static CRYPTO_TOKENS: Type = Of(Any, &CRYPTO_H323_TOKEN);

static CLEAR_TOKEN: Type = Sequence(
    &[
        must("tokenOID", &OBJECT),
        may("timeStamp", &TIME_STAMP),
        may("password", &IDENTIFIER),
        may(
            "dhkey",
            &Sequence(
                &[
                    must("halfkey", &KEY),
                    must("modSize", &KEY),
                    must("generator", &KEY),
                ],
                Some(&[]),
            ),
        ),
        may("challenge", &Octets(Between(8, 128))),
        may("random", &COUNTED),
        may(
            "certificate",
            &Sequence(
                &[must("type", &OBJECT), must("certificate", &COUNTED)],
                Some(&[]),
            ),
        ),
        may("generalID", &IDENTIFIER),
        may("nonStandard", &NON_STANDARD),
    ],
    Some(&[may("eckasdhkey", &SKIPPED), may("sendersID", &SKIPPED)]),
);

static NON_STANDARD: Type = Sequence(
    &[
        must("nonStandardIdentifier", &OBJECT),
        must("data", &COUNTED),
    ],
    None,
);

static PARAMETERS: Type = Sequence(
    &[may("ranInt", &COUNTED), may("iv8", &Octets(Fixed(8)))],
    Some(&[may("iv16", &SKIPPED)]),
);

static HASHED: Type = Sequence(
    &[
        must("algorithmOID", &OBJECT),
        must("paramS", &PARAMETERS),
        must("hash", &ANY_BITS),
    ],
    None,
);

static ENCRYPTED: Type = Sequence(
    &[
        must("algorithmOID", &OBJECT),
        must("paramS", &PARAMETERS),
        must("encryptedData", &COUNTED),
    ],
    None,
);

/// `SIGNED`.
static SIGNED: Type = Sequence(
    &[
        must("toBeSigned", &Open),
        must("algorithmOID", &OBJECT),
        must("paramS", &PARAMETERS),
        must("signature", &ANY_BITS),
    ],
    None,
);

static CRYPTO_H323_TOKEN: Type = Choice(
    &[
        (
            "cryptoEPPwdHash",
            &Sequence(
                &[
                    must("alias", &super::h225::ALIAS),
                    must("timeStamp", &TIME_STAMP),
                    must("token", &HASHED),
                ],
                None,
            ),
        ),
        (
            "cryptoGKPwdHash",
            &Sequence(
                &[
                    must("gatekeeperId", &IDENTIFIER),
                    must("timeStamp", &TIME_STAMP),
                    must("token", &HASHED),
                ],
                None,
            ),
        ),
        ("cryptoEPPwdEncr", &ENCRYPTED),
        ("cryptoGKPwdEncr", &ENCRYPTED),
        ("cryptoEPCert", &SIGNED),
        ("cryptoGKCert", &SIGNED),
        ("cryptoFastStart", &SIGNED),
        ("nestedcryptoToken", &CRYPTO_TOKEN),
    ],
    Some(&[]),
);

static CRYPTO_TOKEN: Type = Choice(
    &[
        (
            "cryptoEncryptedToken",
            &Sequence(
                &[must("tokenOID", &OBJECT), must("token", &ENCRYPTED)],
                None,
            ),
        ),
        (
            "cryptoSignedToken",
            &Sequence(&[must("tokenOID", &OBJECT), must("token", &SIGNED)], None),
        ),
        (
            "cryptoHashedToken",
            &Sequence(
                &[
                    must("tokenOID", &OBJECT),
                    must("hashedVals", &CLEAR_TOKEN),
                    must("token", &HASHED),
                ],
                None,
            ),
        ),
        ("cryptoPwdEncr", &ENCRYPTED),
    ],
    Some(&[]),
);

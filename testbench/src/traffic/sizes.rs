//! Sizes of requests and responses: by formula, or by distributions measured in data centres.

use super::random::{SourceRng, unit};
use crate::scenario::{ScenarioError, within};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// Largest object, in bytes: 1 GB, as the largest flow of the data-mining distribution.
pub const MAX_BYTES: u64 = 1_000_000_000;

/// A distribution of object sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SizeDistribution {
    /// Always the same size.
    Fixed {
        /// The size.
        bytes: u64,
    },
    /// Every size of a range alike.
    Uniform {
        /// Smallest size.
        minimum_bytes: u64,
        /// Largest size.
        maximum_bytes: u64,
    },
    /// Log-normal: many small objects, some large ones.
    Lognormal {
        /// Half of the objects are smaller.
        median_bytes: u64,
        /// Standard deviation of the natural logarithm of the size.
        sigma: f64,
        /// Larger sizes are cut to this.
        maximum_bytes: u64,
    },
    /// Pareto: a heavy tail.
    Pareto {
        /// Smallest size.
        minimum_bytes: u64,
        /// Tail index: the share of objects larger than x falls with x^-shape.
        shape: f64,
        /// Larger sizes are cut to this.
        maximum_bytes: u64,
    },
    /// Web search, the DCTCP measurements (mean 1.7 MB).
    WebSearch,
    /// A Hadoop cluster at Facebook (mean 120 kB).
    Hadoop,
    /// Remote procedure calls at Google, 2008 (mean 3 kB).
    GoogleRpc,
    /// Data mining, the VL2 measurements (mean 13 MB).
    DataMining,
    /// Block storage at Alibaba, 2019 (mean 41 kB).
    AliStorage,
}

/// Points of a distribution function: (bytes, per cent of objects at most that large).
type Cdf = &'static [(f64, f64)];

/// M. Alizadeh et al., "Data Center TCP (DCTCP)", SIGCOMM 2010; points as in
/// `traffic_gen/WebSearch_distribution.txt` of github.com/alibaba-edu/High-Precision-Congestion-Control.
const WEB_SEARCH: Cdf = &[
    (0.0, 0.0),
    (10e3, 15.0),
    (20e3, 20.0),
    (30e3, 30.0),
    (50e3, 40.0),
    (80e3, 53.0),
    (200e3, 60.0),
    (1e6, 70.0),
    (2e6, 80.0),
    (5e6, 90.0),
    (10e6, 97.0),
    (30e6, 100.0),
];

/// A. Roy et al., "Inside the Social Network's (Datacenter) Network", SIGCOMM 2015; points as in
/// `traffic_gen/FbHdp_distribution.txt` of the same repository.
const HADOOP: Cdf = &[
    (0.0, 0.0),
    (100.0, 1.0),
    (200.0, 2.0),
    (300.0, 5.0),
    (350.0, 15.0),
    (400.0, 20.0),
    (500.0, 30.0),
    (600.0, 40.0),
    (700.0, 50.0),
    (1e3, 60.0),
    (2e3, 67.0),
    (7e3, 70.0),
    (30e3, 72.0),
    (50e3, 82.0),
    (80e3, 87.0),
    (120e3, 90.0),
    (300e3, 95.0),
    (1e6, 97.5),
    (2e6, 99.0),
    (10e6, 100.0),
];

/// Remote procedure calls of all applications in a Google data centre in 2008; powers of two (and three points of the
/// tail) out of the 843 points of `traffic_gen/GoogleRPC2008.txt` of the same repository.
const GOOGLE_RPC: Cdf = &[
    (0.0, 0.0),
    (3.0, 6.48826),
    (32.0, 9.73239),
    (64.0, 15.5271),
    (128.0, 35.1573),
    (256.0, 49.7901),
    (512.0, 78.4921),
    (1_024.0, 86.32),
    (2_048.0, 90.8862),
    (4_096.0, 93.4955),
    (8_192.0, 96.4309),
    (16_384.0, 98.4694),
    (32_768.0, 99.0402),
    (65_536.0, 99.3256),
    (131_072.0, 99.7129),
    (262_144.0, 99.8453),
    (524_288.0, 99.9498),
    (1_047_917.0, 99.9758),
    (2_034_108.0, 99.9884),
    (4_135_977.0, 99.9952),
    (8_231_141.0, 99.9985),
    (15_158_197.0, 100.0),
];

/// A. Greenberg et al., "VL2: A Scalable and Flexible Data Center Network", SIGCOMM 2009; points as in
/// `conf/VL2_CDF.txt` of github.com/HKUST-SING/TrafficGenerator.
const DATA_MINING: Cdf = &[
    (0.0, 0.0),
    (180.0, 10.0),
    (216.0, 20.0),
    (560.0, 30.0),
    (900.0, 40.0),
    (1_100.0, 50.0),
    (1_870.0, 60.0),
    (3_160.0, 70.0),
    (10e3, 80.0),
    (400e3, 90.0),
    (3.16e6, 95.0),
    (100e6, 98.0),
    (1e9, 100.0),
];

/// Y. Li et al., "HPCC: High Precision Congestion Control", SIGCOMM 2019; points as in
/// `traffic_gen/AliStorage2019.txt` of the first repository, one per power of two.
const ALI_STORAGE: Cdf = &[
    (0.0, 0.0),
    (4_096.0, 22.93),
    (8_192.0, 69.21),
    (16_384.0, 80.61),
    (32_768.0, 90.47),
    (65_536.0, 93.53),
    (131_072.0, 96.77),
    (262_144.0, 97.53),
    (2_097_152.0, 100.0),
];

impl SizeDistribution {
    /// Checks the parameters; `key` is the name of the table they stand in.
    pub fn validate(&self, key: &str) -> Result<(), ScenarioError> {
        let bytes = |name: &str, value: u64| within(&format!("{key}.{name}"), value, 1..=MAX_BYTES);
        let ordered = |low_name: &str, low: u64, high: u64| {
            if low <= high {
                return Ok(());
            }
            let key = format!("{key}.maximum_bytes");
            Err(ScenarioError::value(
                &key,
                high,
                format!("it must be at least {low_name}, which is {low}"),
            ))
        };
        match self {
            Self::Fixed { bytes: size } => bytes("bytes", *size),
            Self::Uniform {
                minimum_bytes,
                maximum_bytes,
            } => {
                bytes("minimum_bytes", *minimum_bytes)?;
                bytes("maximum_bytes", *maximum_bytes)?;
                ordered("minimum_bytes", *minimum_bytes, *maximum_bytes)
            }
            Self::Lognormal {
                median_bytes,
                sigma,
                maximum_bytes,
            } => {
                bytes("median_bytes", *median_bytes)?;
                bytes("maximum_bytes", *maximum_bytes)?;
                within(&format!("{key}.sigma"), *sigma, 0.0..=10.0)?;
                ordered("median_bytes", *median_bytes, *maximum_bytes)
            }
            Self::Pareto {
                minimum_bytes,
                shape,
                maximum_bytes,
            } => {
                bytes("minimum_bytes", *minimum_bytes)?;
                bytes("maximum_bytes", *maximum_bytes)?;
                within(&format!("{key}.shape"), *shape, 0.1..=100.0)?;
                ordered("minimum_bytes", *minimum_bytes, *maximum_bytes)
            }
            Self::WebSearch
            | Self::Hadoop
            | Self::GoogleRpc
            | Self::DataMining
            | Self::AliStorage => Ok(()),
        }
    }

    /// Draws a size: at least 1 byte, at most [`MAX_BYTES`].
    pub fn sample(&self, rng: &mut SourceRng) -> u64 {
        let size = match *self {
            Self::Fixed { bytes } => bytes,
            Self::Uniform {
                minimum_bytes,
                maximum_bytes,
            } => {
                let span = maximum_bytes
                    .saturating_sub(minimum_bytes)
                    .saturating_add(1);
                minimum_bytes.saturating_add((unit(rng) * span as f64) as u64)
            }
            Self::Lognormal {
                median_bytes,
                sigma,
                maximum_bytes,
            } => {
                let normal: f64 = StandardNormal.sample(rng);
                ((median_bytes as f64 * (sigma * normal).exp()) as u64).min(maximum_bytes)
            }
            Self::Pareto {
                minimum_bytes,
                shape,
                maximum_bytes,
            } => {
                let tail = 1.0 - unit(rng);
                ((minimum_bytes as f64 * tail.powf(-1.0 / shape)) as u64).min(maximum_bytes)
            }
            Self::WebSearch => invert(WEB_SEARCH, rng),
            Self::Hadoop => invert(HADOOP, rng),
            Self::GoogleRpc => invert(GOOGLE_RPC, rng),
            Self::DataMining => invert(DATA_MINING, rng),
            Self::AliStorage => invert(ALI_STORAGE, rng),
        };
        size.clamp(1, MAX_BYTES)
    }
}

/// Draws from a distribution function, straight lines between its points (as its users draw from it).
fn invert(cdf: Cdf, rng: &mut SourceRng) -> u64 {
    let percent = unit(rng) * 100.0;
    let next = cdf
        .partition_point(|(_, upto)| *upto <= percent)
        .clamp(1, cdf.len() - 1);
    let ((low, from), (high, upto)) = (cdf[next - 1], cdf[next]);
    (low + (high - low) * (percent - from) / (upto - from)).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::super::random::{stream, tests::*};
    use super::*;
    use proptest::prelude::*;

    const EMPIRICAL: [(SizeDistribution, Cdf, f64); 5] = [
        (SizeDistribution::WebSearch, WEB_SEARCH, 1.71e6),
        (SizeDistribution::Hadoop, HADOOP, 120e3),
        (SizeDistribution::GoogleRpc, GOOGLE_RPC, 2.9e3),
        (SizeDistribution::DataMining, DATA_MINING, 12.66e6),
        (SizeDistribution::AliStorage, ALI_STORAGE, 41e3),
    ];

    /// Counts between the published points against the published shares.
    #[test]
    fn measured_distributions_are_reproduced() {
        for (sizes, cdf, _) in EMPIRICAL {
            let mut rng = stream(3, 9);
            let mut counts = vec![0_u64; cdf.len() - 1];
            for _ in 0..100_000 {
                let size = sizes.sample(&mut rng) as f64;
                counts[cdf.partition_point(|(bytes, _)| *bytes < size) - 1] += 1;
            }
            let expected: Vec<f64> = cdf
                .windows(2)
                .map(|pair| (pair[1].1 - pair[0].1) * 1_000.0)
                .collect();
            let (value, degrees) = chi_square(&counts, &expected);
            assert!(
                value < chi_square_limit(degrees),
                "{sizes:?}: chi-square {value} of {degrees}"
            );
        }
    }

    /// Means as published for these distributions (straight lines between the points).
    #[test]
    fn measured_distributions_have_their_means() {
        for (sizes, cdf, published) in EMPIRICAL {
            let mean: f64 = cdf
                .windows(2)
                .map(|pair| (pair[0].0 + pair[1].0) / 2.0 * (pair[1].1 - pair[0].1) / 100.0)
                .sum();
            assert!((mean / published - 1.0).abs() < 0.08, "{sizes:?}: {mean}");
        }
    }

    #[test]
    fn lognormal_and_pareto_have_their_medians() {
        let median = |sizes: &SizeDistribution| {
            let mut rng = stream(3, 1);
            let mut drawn: Vec<u64> = (0..50_001).map(|_| sizes.sample(&mut rng)).collect();
            drawn.sort_unstable();
            drawn[25_000] as f64
        };
        let lognormal = SizeDistribution::Lognormal {
            median_bytes: 8_000,
            sigma: 1.5,
            maximum_bytes: MAX_BYTES,
        };
        assert!((median(&lognormal) / 8_000.0 - 1.0).abs() < 0.04);
        let pareto = SizeDistribution::Pareto {
            minimum_bytes: 1_000,
            shape: 1.2,
            maximum_bytes: MAX_BYTES,
        };
        assert!((median(&pareto) / (1_000.0 * 2_f64.powf(1.0 / 1.2)) - 1.0).abs() < 0.04);
    }

    #[test]
    fn impossible_parameters_are_named() {
        let wrong = SizeDistribution::Uniform {
            minimum_bytes: 9,
            maximum_bytes: 3,
        };
        assert_eq!(
            wrong.validate("response").unwrap_err().to_string(),
            "response.maximum_bytes = 3 is impossible: it must be at least minimum_bytes, which is 9"
        );
        let wrong = SizeDistribution::Lognormal {
            median_bytes: 9,
            sigma: f64::NAN,
            maximum_bytes: 10,
        };
        assert_eq!(
            wrong.validate("response").unwrap_err().to_string(),
            "response.sigma = NaN is impossible: it must be from 0 to 10"
        );
    }

    proptest! {
        #[test]
        fn sizes_are_sane(seed: u64, median_bytes in 1..=MAX_BYTES, sigma in 0.0..10.0_f64, shape in 0.1..100.0_f64) {
            let mut rng = stream(seed, 0);
            let maximum_bytes = MAX_BYTES;
            for sizes in [
                SizeDistribution::Lognormal { median_bytes, sigma, maximum_bytes },
                SizeDistribution::Pareto { minimum_bytes: median_bytes, shape, maximum_bytes },
                SizeDistribution::Uniform { minimum_bytes: median_bytes, maximum_bytes },
            ] {
                prop_assert!(sizes.validate("x").is_ok());
                prop_assert!((1..=MAX_BYTES).contains(&sizes.sample(&mut rng)));
            }
        }
    }
}

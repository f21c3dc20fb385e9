//! Random numbers that are the same in every run.

/// A stream of pseudo-random numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Streams of one seed with different names are independent.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut mixed = Random(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        mixed.next();
        mixed
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform between 0 and 1, both excluded.
    pub fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Exponential, with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// Normal, with mean 0 and standard deviation 1: Box and Muller, 1958.
    pub fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Gamma, with mean 1 and this standard deviation: Marsaglia and Tsang, 2000.
    pub fn gamma(&mut self, deviation: f64) -> f64 {
        if deviation <= 0.0 {
            return 1.0;
        }
        let shape = 1.0 / (deviation * deviation);
        // Shapes below 1 are drawn one higher and corrected.
        let (drawn, correction) = match shape < 1.0 {
            true => (shape + 1.0, self.uniform().powf(1.0 / shape)),
            false => (shape, 1.0),
        };
        let d = drawn - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v * correction / shape;
            }
        }
    }
}

/// A lognormal distribution, for times that vary.
#[derive(Clone, Copy, Debug)]
pub struct Lognormal {
    mu: f64,
    sigma: f64,
}

impl Lognormal {
    /// `deviation` is relative: the standard deviation divided by the mean.
    pub fn new(mean: f64, deviation: f64) -> Lognormal {
        let variance = (1.0 + deviation * deviation).ln();
        Lognormal {
            mu: mean.max(f64::MIN_POSITIVE).ln() - variance / 2.0,
            sigma: variance.sqrt(),
        }
    }

    pub fn draw(&self, random: &mut Random) -> f64 {
        (self.mu + self.sigma * random.normal()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let drawn: Vec<f64> = (0..100_000).map(|_| draw()).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let squares = drawn.iter().map(|x| (x - mean).powi(2));
        (mean, (squares.sum::<f64>() / drawn.len() as f64).sqrt())
    }

    #[test]
    fn each_distribution_has_the_mean_and_the_deviation_it_is_asked_for() {
        let mut random = Random::new(1, 1);
        let lognormal = Lognormal::new(0.25, 1.0);
        for (name, (mean, deviation), expected) in [
            ("uniform", moments(|| random.uniform()), (0.5, 0.2887)),
            ("exponential", moments(|| random.exponential()), (1.0, 1.0)),
            ("normal", moments(|| random.normal()), (0.0, 1.0)),
            ("narrow gamma", moments(|| random.gamma(0.1)), (1.0, 0.1)),
            ("wide gamma", moments(|| random.gamma(1.5)), (1.0, 1.5)),
            (
                "lognormal",
                moments(|| lognormal.draw(&mut random)),
                (0.25, 0.25),
            ),
        ] {
            assert!((mean - expected.0).abs() < 0.02, "{name}: mean {mean}");
            let off = (deviation / expected.1 - 1.0).abs();
            assert!(off < 0.03, "{name}: deviation {deviation}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_stream_and_another_name_another_one() {
        let draw = |seed, stream| Random::new(seed, stream).uniform();
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }
}

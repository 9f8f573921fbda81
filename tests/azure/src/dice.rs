//! Seeded chance: the same seed and the same order of requests give the same day.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use uuid::Uuid;

use crate::clock::Millis;
use crate::faults::Delay;

/// Two streams, so that a change of faults does not rename everything that is created later.
#[derive(Debug)]
pub(crate) struct Dice {
    events: StdRng,
    names: StdRng,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            events: StdRng::seed_from_u64(seed),
            names: StdRng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15),
        }
    }

    /// True with the given probability.
    pub(crate) fn hits(&mut self, probability: f64) -> bool {
        probability >= 1.0 || (probability > 0.0 && self.events.random::<f64>() < probability)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound < 2 { 0 } else { self.events.random_range(0..bound) }
    }

    /// When each of `replicas` sees something that happened at `now`.
    pub(crate) fn propagation(
        &mut self,
        now: Millis,
        delay: &Delay,
        replicas: usize,
    ) -> Option<Box<[Millis]>> {
        let (least, most) = delay.bounds();
        if most == 0 {
            return None;
        }
        Some((0..replicas).map(|_| now + self.events.random_range(least..=most)).collect())
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.names.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Forty characters, shaped as Entra's: `abc8Q~…`.
    pub(crate) fn secret_text(&mut self) -> String {
        const ALPHABET: &[u8] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";
        const LETTERS: usize = 52;
        let mut text = String::with_capacity(40);
        for _ in 0..3 {
            text.push(char::from(ALPHABET[self.names.random_range(0..LETTERS)]));
        }
        text.push_str("8Q~");
        while text.len() < 40 {
            text.push(char::from(ALPHABET[self.names.random_range(0..ALPHABET.len())]));
        }
        text
    }
}

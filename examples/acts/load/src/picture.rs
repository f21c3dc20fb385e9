//! Landscapes, each drawn by code from a number and different from every other.

use crate::png;
use crate::random::Random;
use std::f32::consts::TAU;

/// Pixels on each side.
pub const SIDE: usize = 400;

type Colour = [f32; 3];

/// Common look of a category's pictures.
pub struct Look {
    /// The sky from above to the horizon, and the ground from far to near.
    pub sky: [u32; 2],
    pub ground: [u32; 2],
    pub sun: u32,
    pub near: Near,
}

/// The foreground.
#[derive(Clone, Copy)]
pub enum Near {
    Firs,
    Flowers,
    Houses,
    Sea,
    Stars,
}

/// The picture of this number as a PNG file.
pub fn draw(number: u64, look: &Look) -> Vec<u8> {
    let mut random = Random::new(number);
    let mut canvas = Canvas::new();
    sky(&mut canvas, &mut random, look);
    match look.near {
        Near::Sea => sea(&mut canvas, &mut random, look),
        _ => hills(&mut canvas, &mut random, look),
    }
    canvas.png()
}

fn sky(canvas: &mut Canvas, random: &mut Random, look: &Look) {
    let [above, below] = look.sky.map(colour);
    let shift = random.between(-0.06, 0.06);
    let (x, y) = (random.between(0.2, 0.8), random.between(0.16, 0.42));
    let (radius, sun) = (random.between(0.045, 0.085), colour(look.sun));
    canvas.paint(|px, py, _| {
        let down = (py * 1.5 + shift).clamp(0., 1.);
        let distance = ((px - x).powi(2) + (py - y).powi(2)).sqrt();
        let glow = (1. - distance * 1.7).max(0.).powi(3) * 0.55;
        let disc = edge(radius - distance);
        mix(mix(mix(above, below, down), sun, glow), sun, disc)
    });
    match look.near {
        Near::Stars => {
            for _ in 0..90 {
                let (x, y) = (random.between(0., 1.), random.between(0., 0.6));
                let (size, light) = (random.between(0.001, 0.0035), random.between(0.4, 1.));
                canvas.disc(x, y, size, [1., 1., 0.92], light);
            }
        }
        _ => {
            for _ in 0..2 + random.below(3) {
                cloud(canvas, random);
            }
        }
    }
}

fn cloud(canvas: &mut Canvas, random: &mut Random) {
    let (x, y) = (random.between(0.05, 0.95), random.between(0.08, 0.4));
    let (size, light) = (random.between(0.03, 0.055), random.between(0.3, 0.65));
    let puffs: Vec<[f32; 3]> = (-2..=2)
        .map(|step| {
            let middle = 1. - f32::from(step as i8).abs() * 0.28;
            let radius = size * middle * random.between(0.75, 1.1);
            [x + step as f32 * size * 0.85, y, radius]
        })
        .collect();
    // Flat below, and one: where puffs overlap, it is no denser.
    let flat = y + size * 0.25;
    canvas.within(
        x - size * 3.,
        x + size * 3.,
        y - size * 1.2,
        flat,
        |px, py, under| {
            let inside = puffs
                .iter()
                .map(|[x, y, radius]| edge(radius - ((px - x).powi(2) + (py - y).powi(2)).sqrt()));
            mix(under, [1., 1., 1.], inside.fold(0., f32::max) * light)
        },
    );
}

fn hills(canvas: &mut Canvas, random: &mut Random, look: &Look) {
    let [far, near] = look.ground.map(colour);
    let haze = colour(look.sky[1]);
    let layers = 3 + random.below(3);
    for layer in 0..layers {
        let part = (layer as f32 + 1.) / layers as f32;
        let base = 0.5 + part * 0.32;
        let rough = random.between(0.02, 0.07) * (1.3 - part * 0.7);
        let ridge = ridge(random, base, rough);
        let tone = mix(mix(far, near, part), haze, 0.55 * (1. - part));
        canvas.below(&ridge, |_, depth| mix(tone, [0., 0., 0.], depth * 0.35));
        if part > 0.45 {
            stand(canvas, random, look, &ridge, part, tone);
        }
    }
}

/// Puts on a ridge what belongs there.
fn stand(
    canvas: &mut Canvas,
    random: &mut Random,
    look: &Look,
    ridge: &[f32],
    part: f32,
    tone: Colour,
) {
    let dark = mix(tone, [0.02, 0.05, 0.06], 0.45);
    let count = match look.near {
        Near::Firs => 14 + random.below(16),
        Near::Flowers => 60 + random.below(60),
        Near::Houses => 3 + random.below(5),
        Near::Stars => 4 + random.below(8),
        Near::Sea => 0,
    };
    for _ in 0..count {
        let x = random.between(0.02, 0.98);
        let ground = ridge[((x * SIDE as f32) as usize).min(SIDE - 1)];
        let size = random.between(0.05, 0.1) * part;
        match look.near {
            Near::Firs | Near::Stars => {
                for floor in 0..3 {
                    let top = ground - size * (2.1 - floor as f32 * 0.6);
                    let wide = size * (0.28 + floor as f32 * 0.13);
                    canvas.triangle(x, top, top + size * 0.95, wide, dark);
                }
            }
            Near::Flowers => {
                let y = ground + random.between(0.015, 0.2);
                let petals = [[0.98, 0.78, 0.32], [0.95, 0.45, 0.42], [1., 0.95, 0.9]];
                let bloom = petals[random.below(3)];
                canvas.disc(x, y, size * 0.13 * (1. + y), bloom, 1.);
            }
            Near::Houses => house(canvas, random, x, ground, size, tone),
            Near::Sea => {}
        }
    }
}

fn house(canvas: &mut Canvas, random: &mut Random, x: f32, ground: f32, size: f32, tone: Colour) {
    let wall = mix(tone, [1., 0.95, 0.88], random.between(0.45, 0.8));
    let roof = mix([0.72, 0.3, 0.22], tone, random.between(0., 0.5));
    let (half, high) = (size * 0.6, size * random.between(0.8, 1.5));
    canvas.bar(x - half, x + half, ground - high, ground + 0.03, wall, 1.);
    canvas.triangle(
        x,
        ground - high - size * 0.6,
        ground - high,
        half * 1.2,
        roof,
    );
    for side in [-0.5, 0.5] {
        let (middle, pane) = (x + half * side, size * 0.13);
        let up = ground - high * 0.6;
        canvas.bar(
            middle - pane,
            middle + pane,
            up - pane,
            up + pane,
            [1., 0.82, 0.45],
            0.95,
        );
    }
}

fn sea(canvas: &mut Canvas, random: &mut Random, look: &Look) {
    let [far, near] = look.ground.map(colour);
    let horizon = random.between(0.5, 0.62);
    let (phase, length) = (random.between(0., TAU), random.between(40., 70.));
    canvas.paint(|x, y, under| {
        if y < horizon {
            return under;
        }
        let depth = (y - horizon) / (1. - horizon);
        let water = mix(far, near, depth.sqrt());
        let wave = (depth.sqrt() * length + (x * 9. + phase).sin() * 1.1 + x * 3.).sin();
        mix(
            water,
            [1., 1., 1.],
            (wave - 0.72).max(0.) * 0.6 * (0.3 + depth),
        )
    });
    for _ in 0..1 + random.below(3) {
        let size = random.between(0.05, 0.12);
        let (x, y) = (
            random.between(0.12, 0.88),
            horizon + size * random.between(0.3, 1.6),
        );
        let hull = mix([0.5, 0.2, 0.16], near, random.between(0., 0.5));
        canvas.bar(x - size * 0.5, x + size * 0.5, y, y + size * 0.16, hull, 1.);
        canvas.triangle(
            x + size * 0.06,
            y - size * 1.2,
            y - size * 0.06,
            size * 0.42,
            [0.99, 0.97, 0.93],
        );
    }
    let shore = random.between(0.88, 0.95);
    let beach = ridge(random, shore, 0.012);
    let sand = colour(0xead9b4);
    canvas.below(&beach, |_, depth| mix(sand, [0.5, 0.38, 0.2], depth * 0.4));
}

/// The height of the ground over the whole width.
fn ridge(random: &mut Random, base: f32, rough: f32) -> Vec<f32> {
    let waves: Vec<(f32, f32, f32)> = (0..5)
        .map(|octave| {
            let fine = 1.9_f32.powi(octave);
            let length = random.between(0.7, 1.3) * fine * 0.9;
            (length, random.between(0., TAU), rough / fine)
        })
        .collect();
    let at = |x: usize| {
        let x = x as f32 / SIDE as f32;
        let height = waves
            .iter()
            .map(|(length, phase, size)| (x * length * TAU + phase).sin() * size);
        base + height.sum::<f32>()
    };
    (0..SIDE).map(at).collect()
}

struct Canvas(Vec<Colour>);

impl Canvas {
    fn new() -> Canvas {
        Canvas(vec![[0.; 3]; SIDE * SIDE])
    }

    /// Gives every pixel what `colour` makes of its place, from 0 to 1, and of what is there.
    fn paint(&mut self, colour: impl Fn(f32, f32, Colour) -> Colour) {
        self.within(0., 1., 0., 1., colour);
    }

    fn within(
        &mut self,
        left: f32,
        right: f32,
        top: f32,
        bottom: f32,
        colour: impl Fn(f32, f32, Colour) -> Colour,
    ) {
        let pixel = |part: f32| ((part * SIDE as f32).max(0.) as usize).min(SIDE);
        for y in pixel(top)..pixel(bottom + 1. / SIDE as f32) {
            for x in pixel(left)..pixel(right + 1. / SIDE as f32) {
                let there = &mut self.0[y * SIDE + x];
                let place = |at: usize| (at as f32 + 0.5) / SIDE as f32;
                *there = colour(place(x), place(y), *there);
            }
        }
    }

    fn below(&mut self, ridge: &[f32], colour: impl Fn(f32, f32) -> Colour) {
        self.paint(|x, y, under| {
            let top = ridge[((x * SIDE as f32) as usize).min(SIDE - 1)];
            mix(under, colour(x, (y - top).max(0.)), edge(y - top))
        });
    }

    fn disc(&mut self, x: f32, y: f32, radius: f32, colour: Colour, light: f32) {
        let reach = radius + 0.005;
        self.within(
            x - reach,
            x + reach,
            y - reach,
            y + reach,
            |px, py, under| {
                let distance = ((px - x).powi(2) + (py - y).powi(2)).sqrt();
                mix(under, colour, edge(radius - distance) * light)
            },
        );
    }

    fn bar(&mut self, left: f32, right: f32, top: f32, bottom: f32, colour: Colour, light: f32) {
        self.within(left, right, top, bottom, |_, _, under| {
            mix(under, colour, light)
        });
    }

    /// Points up; `half` is half its width at the bottom.
    fn triangle(&mut self, x: f32, top: f32, bottom: f32, half: f32, colour: Colour) {
        self.within(x - half, x + half, top, bottom, |px, py, under| {
            let wide = half * (py - top) / (bottom - top);
            mix(under, colour, edge(wide - (px - x).abs()))
        });
    }

    fn png(&self) -> Vec<u8> {
        let bytes: Vec<u8> = self
            .0
            .iter()
            .flatten()
            .map(|part| (part.clamp(0., 1.) * 255.).round() as u8)
            .collect();
        png::encode(SIDE as u32, SIDE as u32, &bytes)
    }
}

fn colour(hex: u32) -> Colour {
    [16, 8, 0].map(|shift| (hex >> shift & 0xff) as f32 / 255.)
}

fn mix(under: Colour, over: Colour, part: f32) -> Colour {
    let part = part.clamp(0., 1.);
    std::array::from_fn(|at| under[at] + (over[at] - under[at]) * part)
}

/// How much of a pixel is inside, when its middle is this far from the edge.
fn edge(inside: f32) -> f32 {
    (inside * SIDE as f32 + 0.5).clamp(0., 1.)
}
